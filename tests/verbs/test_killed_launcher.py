"""What is left of a killed launcher: ``ps`` shows it, ``clean`` ends and removes it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.launching import ROOT, SECONDS, launch, still_there
from tests.opened import MURDER, Exchange, ended


def test_ps_lists_a_live_run_with_commands_that_work(exchange: Exchange) -> None:
    """``ps`` names the run, its processes and its objects; each shown command finds its object."""
    run = exchange.listed()
    assert run["alive"]
    assert run["scenario"] == "exchange/open_for_business"
    assert len(run["processes"]) == 3
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
