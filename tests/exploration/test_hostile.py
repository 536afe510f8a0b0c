"""Processes that die or stand still while they are led, and objects that go: said, not hidden."""

from __future__ import annotations

import errno
import os
import re
import select
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.history import record
from tests.launching import ROOT, SECONDS, Finished, command, launch

CONFIGS = ROOT / "configs"
BUYS = str(CONFIGS / "exchange/two_traders.yaml")
SALES = str(CONFIGS / "exchange/two_sales.yaml")
ENDLESS = ("--strategy", "random", "--schedules", "100000000", "--seconds", str(SECONDS))


class Walking:
    """A walk without end in a launcher of its own, known to be led from step to step."""

    def __init__(self, out: Path, *words: str, scenario: str = BUYS) -> None:
        self.launcher = subprocess.Popen(
            command("explore", scenario, *ENDLESS, "--out", str(out), "--json", *words),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        history = out / f"exchange/{Path(scenario).stem}/latest-explore/history"
        # The first two schedules only show what is shared; after these they count.
        seen: set[bytes] = set()
        while len(seen) < 6 and self.launcher.poll() is None:
            seen.add(_ended(history / "trader-0.rec"))
        self.pids = [
            record.HEADER.unpack(path.read_bytes()[: record.HEADER.size])[3]
            for path in sorted(history.glob("*.rec"))
        ]

    def finished(self) -> Finished:
        """Wait for the end."""
        out, err = self.launcher.communicate(timeout=SECONDS)
        assert "Traceback" not in err, err
        return Finished(self.launcher.returncode, out, err)


@pytest.fixture
def walking(tmp_path: Path) -> Iterator[Walking]:
    """Yield a walk; what a test leaves of it is killed and cleaned."""
    words = ("--set", "deadlines.wait=4", "--set", "deadlines.finish=2")
    walk = Walking(tmp_path, "--variant", "locked", *words)
    yield walk
    if walk.launcher.poll() is None:
        walk.launcher.kill()
    walk.launcher.communicate()
    launch("clean")


def _ended(path: Path) -> bytes:
    """Return when the first operation of a history file ended, as it stands there."""
    end = record.HEADER_SIZE + record.LEFT * 8
    return path.read_bytes()[end : end + 8] if path.is_file() else b""


def walked(walk: Walking) -> dict[str, Any]:
    """Return what a walk says in the end: broken off, and nothing left behind."""
    done = walk.finished()
    assert done.status == 4, done.out + done.err
    document: dict[str, Any] = done.document["variants"]["locked"]
    assert (document["complete"], document["leaks"]) == (False, [])
    return document


def test_a_process_that_dies_ends_the_walk(walking: Walking) -> None:
    """The schedules before it stand, and none in which it was missing is counted."""
    os.kill(walking.pids[1], signal.SIGKILL)
    document = walked(walking)
    assert document["broken"] == "trader-1 was killed by signal 9 (Killed)"
    assert document["findings"] == {}
    assert len(document["outcomes"]) == 1


def test_a_process_that_stands_still_ends_the_walk(walking: Walking) -> None:
    """After the longest wait of a process and a little: its step, and that it was stopped."""
    os.kill(walking.pids[0], signal.SIGSTOP)
    document = walked(walking)
    assert re.match(r"trader-0 did not come to its next step.* within 5 s", document["broken"])
    assert "stopped by a signal" in document["broken"]
    assert document["findings"] == {}


def test_an_interruption_waits_for_nobody(tmp_path: Path) -> None:
    """A stopped process, and all the patience of the world: SIGTERM ends the walk with 143."""
    walk = Walking(tmp_path, "--variant", "locked", "--set", "deadlines.wait=86400")
    os.kill(walk.pids[0], signal.SIGSTOP)
    walk.launcher.send_signal(signal.SIGTERM)
    done = walk.finished()
    assert done.status == 143
    assert done.document["variants"]["locked"]["leaks"] == []


def listed(walk: Walking) -> list[dict[str, Any]]:
    """Return what `ps` says of this walk: one run, or none."""
    runs = launch("ps", "--json").document["runs"]
    return [run for run in runs if run["pid"] == walk.launcher.pid]


def test_a_lock_that_is_removed_ends_the_walk(walking: Walking) -> None:
    """`ipcrm` of the table's lock: whoever meets that says so, without a traceback."""
    (run,) = listed(walking)
    for entry in run["objects"]:
        if entry["kind"] == "sysv_sem":
            subprocess.run(["ipcrm", "-S", entry["name"]], check=True)
    assert re.search("is gone|no longer exists", walked(walking)["broken"])


def test_a_murdered_launcher_leaves_no_walkers(walking: Walking) -> None:
    """Its children die with it, and `clean` removes what it made."""
    descriptors = [os.pidfd_open(pid) for pid in walking.pids]
    walking.launcher.kill()
    for descriptor in descriptors:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        assert poll.poll(SECONDS * 1000)
        os.close(descriptor)
    assert launch("clean").status == 0
    assert listed(walking) == []


def test_a_process_that_dies_in_a_game_is_a_crash(tmp_path: Path) -> None:
    """The others go on, the lock that it held is free again, and the verdict names it."""
    game = subprocess.Popen(
        command("play", SALES, "--variant", "locked", "--out", str(tmp_path)),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert game.stdin is not None
    assert game.stdout is not None
    game.stdin.write("1\n")
    game.stdin.flush()
    for line in game.stdout:
        if "waits for the table's lock, which ten-0 has" in line:
            break
    history = tmp_path / "exchange/two_sales/latest/history/ten-0.rec"
    os.kill(record.HEADER.unpack(history.read_bytes()[: record.HEADER.size])[3], signal.SIGKILL)
    out, err = game.communicate("1\nu\nr\n", timeout=SECONDS)
    assert "Traceback" not in err, err
    assert "ten-0 was killed by signal 9 (Killed)" in out
    assert "nothing can be undone any more" in out
    assert "process_crashed × 1" in out
    assert "POUND       stock 100 -> 93" in out
    assert "deadlock" not in out


def test_odd_answers_are_no_crash(tmp_path: Path) -> None:
    """Bytes that are no text, a digit that is none, and a number without end."""
    done = subprocess.run(
        command("play", SALES, "--out", str(tmp_path)),
        input=b"\xff\xfe\n\xc2\xb2\n" + b"9" * 5000 + b"\nr\n",
        capture_output=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert b"Traceback" not in done.stderr, done.stderr
    assert done.stdout.count(b"is nobody here") == 3


def test_a_game_of_work_without_end_can_be_played(tmp_path: Path) -> None:
    """What is shared is learnt from the first trades of each; the person stops."""
    done = subprocess.run(
        command(
            "play", str(CONFIGS / "exchange/open_for_business.yaml"), "--variant", "unlocked",
            "--out", str(tmp_path),
        ),
        input="1\n2\n3\nq\n", capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert "turn 4: DOLLAR.stock" in done.stdout
    assert "verdict" in done.stdout


def test_a_state_that_cannot_be_kept_is_said(tmp_path: Path) -> None:
    """A full disk after the walk: what was found is printed all the same."""
    words = ("--variant", "unlocked", "--out", str(tmp_path), "--json")
    limited = ["bash", "-c", 'ulimit -f 2; exec "$@"', "-", *command("explore", BUYS, *words)]
    done = subprocess.run(limited, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    assert os.strerror(errno.EFBIG) in done.stderr
