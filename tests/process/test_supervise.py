"""The launcher notices how each process ends, names who hangs, and leaves nothing behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from common import names
from tests.launching import ROOT, SECONDS, still_there
from tests.process.roles.writes_lines import LENGTH, LINES


def supervise(run_dir: Path, *roles: str, **spec: Any) -> dict[str, Any]:
    """Supervise these roles in a fresh launcher; returns outcome and events."""
    done = subprocess.run(
        [
            sys.executable, "-m", "tests.process.supervised", str(run_dir / "run"),
            json.dumps({"roles": roles, **spec}),
        ],
        capture_output=True, text=True, timeout=SECONDS, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["outcome"]["leaks"] == []
    assert still_there(found["outcome"]["objects"]) == []
    return found


def process(found: dict[str, Any], role: str) -> dict[str, Any]:
    """Return the outcome of the process in ``role``."""
    return next(p for p in found["outcome"]["processes"] if p["role"] == role)


@pytest.mark.parametrize("spawn", ["fork", "exec"])
def test_every_process_has_a_session_of_its_own(tmp_path: Path, spawn: str) -> None:
    """A child is its own session leader, a child of the launcher, and exits with 0."""
    found = supervise(tmp_path, "works", "works", spawn=spawn)
    for outcome in found["outcome"]["processes"]:
        assert outcome["exit"] == 0
        assert outcome["phase"] == "done"
        assert outcome["summary"]["pid"] == outcome["summary"]["session"] == outcome["pid"]


@pytest.mark.parametrize("spawn", ["fork", "exec"])
def test_a_child_inherits_no_descriptor(tmp_path: Path, spawn: str) -> None:
    """Beside its standard streams a child has the report socket and its history, nothing else."""
    found = supervise(tmp_path, "works", "descriptors", spawn=spawn)
    summary = process(found, "descriptors")["summary"]
    targets = [target for fd, target in summary["descriptors"].items() if int(fd) > 2]
    assert {target.split(":")[0].rpartition("/")[2] for target in targets} == {
        "descriptors-1.rec",
        "socket",
    }
    assert summary["signal"], "the keyboard's SIGINT is the launcher's business"


def test_a_child_that_ends_without_a_word_is_noticed(tmp_path: Path) -> None:
    """An exit status other than 0 is in the outcome though no report came."""
    outcome = process(supervise(tmp_path, "exits", "works"), "exits")
    assert (outcome["exit"], outcome["signal"], outcome["summary"]) == (3, None, {})


def test_a_child_killed_by_a_signal_is_noticed(tmp_path: Path) -> None:
    """The signal that killed a process is in the outcome."""
    outcome = process(supervise(tmp_path, "killed", "works"), "killed")
    assert (outcome["exit"], outcome["signal"]) == (None, signal.SIGKILL)


def test_an_unforeseen_error_is_told_and_its_traceback_kept(tmp_path: Path) -> None:
    """What a child raised is in its outcome; the traceback is in the run directory."""
    outcome = process(supervise(tmp_path, "raises"), "raises")
    assert outcome["error"] == {"kind": "RuntimeError", "message": "a bug"}
    assert "Traceback" in (tmp_path / "run" / "stderr.txt").read_text()


def test_a_failure_before_the_gate_ends_the_run(tmp_path: Path) -> None:
    """When one process cannot get ready the gate stays shut, and the others are stopped."""
    found = supervise(tmp_path, "works", "unprepared")
    assert process(found, "unprepared")["error"]["message"] == "not ready"
    assert "gate_open" not in [event["event"] for event in found["events"]]
    assert process(found, "works")["signal"] == signal.SIGKILL


def test_a_deadline_names_the_phase_and_the_wait(tmp_path: Path) -> None:
    """Whoever still waits when the run's time is over is named with what it waits for."""
    found = supervise(tmp_path, "holds", "waits", table=True, run=2)
    hung = [p["hung"] for p in found["outcome"]["processes"] if p["role"] == "waits"]
    text = " ".join(word for word in hung if word) + str(process(found, "holds")["hung"])
    assert "run took longer than 2 s" in text
    # Either of the two may have had the lock first; the other one stands before it.
    assert "waiting for the table's lock" in text or process(found, "waits")["exit"] == 0


def test_a_stopped_process_is_not_called_deadlocked(tmp_path: Path) -> None:
    """SIGSTOP is told apart from a wait: the outcome says that SIGCONT would help."""
    outcome = process(supervise(tmp_path, "stops", run=1), "stops")
    assert "stopped by a signal" in outcome["hung"]
    assert outcome["signal"] == signal.SIGKILL


def test_two_hundred_processes(tmp_path: Path) -> None:
    """Two hundred processes start, pass the gate and end, every one with status 0."""
    found = supervise(tmp_path, *["works"] * 200)
    assert [p["exit"] for p in found["outcome"]["processes"]] == [0] * 200


def test_what_a_hung_child_started_is_killed_with_it(tmp_path: Path) -> None:
    """The launcher kills the group of a child, not the child alone."""
    found = supervise(tmp_path, "parent", run=1)
    assert process(found, "parent")["hung"]
    pid = int((tmp_path / "run/paper-parent-0.txt").read_text())
    # Killed means dead or about to be reaped by whoever adopted it.
    assert names.start_time(pid) is None


def test_lines_of_several_writers_stay_whole(tmp_path: Path) -> None:
    """One write(2) a line, appended: of eight at once none is torn or lost, each in its order."""
    found = supervise(tmp_path, *["writes_lines"] * 8)
    pids = {each["summary"]["pid"] for each in found["outcome"]["processes"]}
    for name in ("stderr.txt", "shared.txt"):
        lines = (tmp_path / "run" / name).read_bytes().splitlines(keepends=True)
        assert {len(line) for line in lines} == {LENGTH}
        assert len(lines) == 8 * LINES
        for pid in pids:
            numbers = [int(line.split()[1]) for line in lines if int(line.split()[0]) == pid]
            assert numbers == list(range(LINES))
