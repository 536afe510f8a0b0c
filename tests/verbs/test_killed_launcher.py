"""What is left of a killed launcher: ``ps`` shows it, ``clean`` ends and removes it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from common import names
from tests.launching import ROOT, SECONDS, command, launch, still_there
from tests.opened import MURDER, Exchange, ended


def test_ps_lists_a_live_run_with_commands_that_work(exchange: Exchange) -> None:
    """``ps`` names the run, its processes and its objects; each shown command finds its object."""
    run = exchange.listed()
    assert run["alive"]
    assert run["scenario"] == "exchange/open_for_business"
    named = [process["name"] for process in run["processes"]]
    assert named == ["guard", "trader-0", "trader-1", "trader-2"]
    assert {entry["kind"] for entry in run["objects"]} == {"sysv_shm", "sysv_sem", "socket"}
    for entry in run["objects"]:
        shown = subprocess.run(entry["command"].split(), capture_output=True, check=False)
        assert shown.returncode == 0, entry
    for process in run["processes"]:
        title = Path(f"/proc/{process['pid']}/cmdline").read_bytes()
        assert title.startswith(process["name"].encode())


def test_clean_leaves_a_live_run_alone(exchange: Exchange) -> None:
    """``clean`` beside a live run removes nothing of it: it still ends valid."""
    before = exchange.listed()["objects"]
    launch("clean")
    assert exchange.listed()["objects"] == before
    exchange.launcher.send_signal(signal.SIGINT)
    assert exchange.finished()[0] == 130


def test_children_die_with_a_murdered_launcher_and_clean_removes_the_rest(
    exchange: Exchange,
) -> None:
    """After kill -9 the children are gone within 2 s; ``clean`` removes every object."""
    run = exchange.listed()
    exchange.launcher.kill()
    exchange.launcher.wait()
    assert all(ended(process["pid"], 2) for process in run["processes"])
    dead = exchange.listed()
    assert not dead["alive"]
    assert len(dead["objects"]) == len(run["objects"])
    cleaned = launch("clean", "--json")
    assert cleaned.status == 0
    assert still_there(run["objects"]) == []
    assert not Path(run["directory"]).exists()
    assert all(run["pid"] != other["pid"] for other in launch("ps", "--json").document["runs"])


@pytest.mark.parametrize("side", [1, -1], ids=["before the entry", "after the entry"])
def test_killed_at_every_entry_of_the_ledger(side: int, tmp_path: Path) -> None:
    """Kill -9 of the launcher at each write of the ledger, then ``clean``: nothing is left.

    The points are found by counting until a run passes without reaching one.
    """
    point = 0
    while True:
        point += 1
        launcher = subprocess.Popen(
            [
                sys.executable, "-c", MURDER, str(side * point), str(ROOT / "run.py"), "run",
                str(ROOT / "configs/receipts.yaml"), "--variant", "locked",
                "--set", "processes.trader.operations=2", "--out", str(tmp_path), "--json",
            ],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT,
        )  # fmt: skip
        launcher.communicate(timeout=SECONDS)
        if launcher.returncode != -signal.SIGKILL:
            break
        runs = launch("ps", "--json").document["runs"]
        own = [run for run in runs if run["pid"] == launcher.pid]
        assert all(ended(p["pid"], 10) for run in own for p in run["processes"])
        launch("clean")
        assert still_there([entry for run in own for entry in run["objects"]]) == []
        assert not any(Path(run["directory"]).exists() for run in own)
    assert launcher.returncode == 0
    assert point > 15


def test_keep_leaves_the_objects_for_ipcs_and_clean_takes_them(tmp_path: Path) -> None:
    """``--keep`` leaves the objects to look at; ``ps`` shows them, ``clean`` removes them."""
    run = launch(
        "run",
        str(ROOT / "configs/exchange/script.yaml"),
        "--keep",
        "--out",
        str(tmp_path),
        "--json",
    ).document
    assert still_there(run["objects"]) == run["objects"]
    launch("clean")
    assert still_there(run["objects"]) == []


def listed(pid: int) -> dict[str, Any]:
    """Return what ``ps`` says of the run of this launcher: others may be at work here."""
    (run,) = [run for run in launch("ps", "--json").document["runs"] if run["pid"] == pid]
    found: dict[str, Any] = run
    return found


BACKGROUND = {
    "in its group": "sleep 1000 & echo $! > {0}; exec cat",
    "in a session of its own": "setsid sh -c 'echo $$ > {0}; exec sleep 1000' & cat",
    "twice removed": "(setsid sh -c 'setsid sleep 1000 & echo $! > {0}' &) ; cat",
}


# A second between two jobs: the run is still at work whenever it is struck.
AT_WORK = ("--set", "processes.producer.delays.send.sleep_us=1000000")


def with_background(tmp_path: Path, line: str, *words: str) -> tuple[subprocess.Popen[str], int]:
    """Start a run whose command leaves a process in the background; returns launcher and pid."""
    note = tmp_path / "pid"
    os.mkfifo(note)
    launcher = subprocess.Popen(
        command(
            "run", str(ROOT / "configs/spooler/popen.yaml"), "--out", str(tmp_path / "runs"),
            "--variant", "turns", "--json", *words,
            "--set", f"channels.jobs.command={json.dumps(line.format(note))}",
        ),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    return launcher, int(note.read_text())


@pytest.mark.parametrize("line", BACKGROUND.values(), ids=BACKGROUND)
def test_what_a_command_left_in_the_background_ends_with_a_murdered_launcher(
    line: str, tmp_path: Path
) -> None:
    """The kernel kills the shell with its launcher, and not what it started: the guard does."""
    launcher, pid = with_background(tmp_path, line, *AT_WORK)
    assert names.start_time(pid) is not None
    launcher.kill()
    launcher.communicate(timeout=SECONDS)
    assert ended(pid, SECONDS)
    run = listed(launcher.pid)
    launch("clean")
    assert still_there(run["objects"]) == []


def test_clean_ends_what_is_left_where_the_guard_was_killed_too(tmp_path: Path) -> None:
    """``ps`` shows it, ``clean`` ends it and says so."""
    line = BACKGROUND["in a session of its own"]
    launcher, pid = with_background(tmp_path, line, *AT_WORK)
    run = listed(launcher.pid)
    (guard,) = [process["pid"] for process in run["processes"] if process["name"] == "guard"]
    os.kill(guard, signal.SIGKILL)
    launcher.kill()
    launcher.wait()
    run = listed(launcher.pid)
    assert pid in [process["pid"] for process in run["processes"]]
    cleaned = launch("clean", "--json").document
    assert f"ended process {pid}, which the run had left" in cleaned["ended"]
    assert names.start_time(pid) is None
    # Only now the pipes come to their end: what was left had them open.
    launcher.communicate(timeout=SECONDS)
    assert still_there(run["objects"]) == []


@pytest.mark.parametrize("line", BACKGROUND.values(), ids=BACKGROUND)
def test_what_a_command_left_in_the_background_ends_with_its_run(line: str, tmp_path: Path) -> None:
    """Also where it went into a session of its own: then there is a warning."""
    launcher, pid = with_background(tmp_path, line)
    out, err = launcher.communicate(timeout=SECONDS)
    assert launcher.returncode == 0, err
    assert names.start_time(pid) is None
    assert ("stray_ended" in err) is (line != BACKGROUND["in its group"])
    assert json.loads(out)["leaks"] == []


def test_the_next_start_cleans_after_a_dead_run_and_says_so(exchange: Exchange) -> None:
    """By its ledger, before it makes anything of its own."""
    run = exchange.listed()
    exchange.launcher.kill()
    exchange.launcher.wait()
    assert all(ended(process["pid"], SECONDS) for process in run["processes"])
    script = str(ROOT / "configs/exchange/script.yaml")
    done = launch("run", script, "--out", str(exchange.out), "--log", "events")
    assert done.status == 0, done.err
    assert done.err.index("dead_run_cleaned") < done.err.index("object_made")
    assert still_there(run["objects"]) == []
    assert not Path(run["directory"]).exists()


def test_the_next_start_leaves_what_was_kept_on_purpose(tmp_path: Path) -> None:
    """``--keep`` is for looking at it, however long that takes; only ``clean`` removes it."""
    script, out = str(ROOT / "configs/exchange/script.yaml"), ("--out", str(tmp_path), "--json")
    kept = launch("run", script, "--keep", *out).document["objects"]
    launch("run", script, *out)
    assert still_there(kept) == kept
    launch("clean")
    assert still_there(kept) == []
