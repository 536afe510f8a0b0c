"""What happens to a run from outside is told, and costs nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from common import pipeline
from common.errors import MachineError
from common.kernel import small_disk
from common.report.document import exit_status, printed
from common.scenario.load import load
from common.scenario.plan import plan
from run import SYSTEMS
from tests.conftest import Fork
from tests.launching import ROOT, launch, still_there
from tests.opened import Exchange

# Bytes of the disk, and what is left of it for the log where that is to fill it.
SIZE, ROOM = 4 << 20, 64 << 10
# Enough to say that the log needs more than what is left of its last page.
FEW_TRADES_OF_MANY = ["processes.trader.count=16", "processes.trader.operations=16"]
INCOMPLETE = "the log is incomplete: it could not be written to its end (No space left on device)"
root = pytest.mark.skipif(not small_disk.allowed(), reason="mounting needs CAP_SYS_ADMIN")


@pytest.mark.parametrize(
    ("at", "status"), [(0, 130), (1, 130), (2, 3)], ids=["gate", "table", "lock"]
)
def test_an_object_removed_from_outside_leaves_the_run_undecided(
    exchange: Exchange, at: int, status: int
) -> None:
    """Removing the gate, the table or its lock (ipcrm) during a run: object_vanished, no leak.

    Whoever has a segment attached keeps it, and nobody needs the gate any more: these two only
    the launcher misses, at the end. The lock's waiters are told at once.
    """
    found = [e for e in exchange.listed()["objects"] if e["kind"].startswith("sysv")]
    flag = {"sysv_shm": "-m", "sysv_sem": "-s"}[found[at]["kind"]]
    subprocess.run(["ipcrm", flag, str(found[at]["id"])], check=True)
    if status == 130:
        exchange.launcher.send_signal(signal.SIGINT)
    code, document = exchange.finished()
    assert code == status
    assert [finding["kind"] for finding in document["findings"]] == ["object_vanished"]
    assert document["verdict"] == "undecided"
    assert document["leaks"] == []


def test_a_killed_launcher_leaves_every_event_that_had_happened(fork: Fork, tmp_path: Path) -> None:
    """Also those of its first second, though it tells nobody: whole lines, to the open gate."""

    def work() -> None:
        scenario = load(ROOT / "configs/exchange/script.yaml", SYSTEMS)

        def listen(event: str, **_facts: Any) -> None:
            if event == "gate_open":
                os.kill(os.getpid(), signal.SIGKILL)

        pipeline.perform(plan(scenario, None, 1, SYSTEMS), SYSTEMS, tmp_path, progress=listen)

    assert fork(work).ended() == -signal.SIGKILL
    launch("clean")
    (log,) = tmp_path.glob("*/*/*Z-*/log.jsonl")
    text = log.read_text()
    assert text.endswith("\n")
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["line"] for line in lines] == list(range(1, len(lines) + 1))
    assert (lines[0]["event"], lines[-1]["event"]) == ("run_started", "gate_open")
    assert "process_ready" in {line["event"] for line in lines}


@dataclass
class Told:
    """What a run on a small disk left: its document, its log, what it made, why it failed."""

    document: dict[str, Any] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)
    made: list[dict[str, Any]] = field(default_factory=list)
    failed: str = ""
    run_dir: Path = Path()


Hear = Callable[[Path, str, dict[str, Any]], None]


@pytest.fixture
def small(fork: Fork, tmp_path: Path) -> Callable[..., Told]:
    """Return a function that runs traders on a tmpfs of its own, and tells what came of it.

    ``hear`` is told the disk, and each event of the run when it is in the log, or is not.
    """

    def perform(hear: Hear, variant: str = "locked", **words: Any) -> Told:
        def work() -> None:
            told: dict[str, Any] = {"made": []}
            scenario = load(ROOT / "configs/exchange/lost_update.yaml", SYSTEMS, FEW_TRADES_OF_MANY)
            planned = plan(scenario, variant, 1, SYSTEMS)
            with small_disk.small_disk(tmp_path, SIZE, tmp_path) as disk:

                def listen(event: str, **facts: Any) -> None:
                    if event == "object_made":
                        told["made"].append(facts)
                    hear(disk, event, facts)

                try:
                    told["document"] = pipeline.perform(
                        planned, SYSTEMS, disk / "runs", progress=listen, **words
                    )
                except MachineError as error:
                    told["failed"] = str(error)
            (tmp_path / "told.json").write_text(printed(told))

        assert fork(work).ended() == 0
        told = Told(**json.loads((tmp_path / "told.json").read_text()))
        (told.run_dir,) = (tmp_path / "runs").glob("*/*/*Z-*")
        text = (told.run_dir / "log.jsonl").read_text()
        assert text.endswith("\n")
        told.log = [json.loads(line) for line in text.splitlines()]
        return told

    return perform


def full_in_the_middle(disk: Path, event: str, _facts: dict[str, Any]) -> None:
    """Fill the disk when the gate is open, and make room again before the outcome is stored."""
    if event == "gate_open":
        small_disk.fill(disk)
    elif event == "objects_removed":
        small_disk.free(disk)


@root
def test_a_run_whose_log_a_full_disk_cut_is_undecided(small: Callable[..., Told]) -> None:
    """The half line is cut off, a last one says so, and so does the verdict: status 3, not 0."""
    told = small(full_in_the_middle)
    assert told.document["verdict"] == "undecided"
    assert told.document["doubts"] == [INCOMPLETE]
    assert exit_status(told.document) == 3
    assert still_there(told.made) == []
    *lines, last = told.log
    assert [line["line"] for line in lines] == list(range(1, len(lines) + 1))
    assert (last["event"], last["reason"]) == ("log_incomplete", "No space left on device")
    assert "run_ended" not in {line["event"] for line in lines}
    # Stored, too: whoever judges it again reads no log.
    (told.run_dir / "log.jsonl").unlink()
    again = launch("check", str(told.run_dir), "--json")
    assert (again.status, again.document["doubts"]) == (3, [INCOMPLETE])


@root
def test_an_anomaly_stays_one_though_the_log_is_incomplete(small: Callable[..., Told]) -> None:
    """What was found was found; that the log has not all of it is said beside it."""
    told = small(full_in_the_middle, "unlocked")
    assert told.document["verdict"] == "anomaly"
    assert told.document["doubts"] == [INCOMPLETE]
    assert told.log[-1]["event"] == "log_incomplete"


@root
def test_a_disk_that_is_full_only_after_the_judging_leaves_no_pass_behind(
    small: Callable[..., Told],
) -> None:
    """The log of the operations fills it: half of that gives way, so that the verdict is stored."""

    def little_room(disk: Path, event: str, facts: dict[str, Any]) -> None:
        filler = disk / small_disk.FILLER
        if event == "judging" and facts["done"] == facts["of"] - 1 and not filler.exists():
            os.truncate(filler, small_disk.fill(disk) - ROOM)

    told = small(little_room, log_operations=True)
    assert told.document["verdict"] == "undecided"
    assert told.document["doubts"] == [INCOMPLETE]
    assert "operation" in {line["event"] for line in told.log}
    assert told.log[-1]["event"] == "log_incomplete"
    for stored in ("outcome", "verdict"):
        assert "No space left on device" in (told.run_dir / f"{stored}.json").read_text()
    assert launch("check", str(told.run_dir), "--json").status == 3


@root
def test_a_disk_that_stays_full_fails_the_run_and_costs_no_kernel_object(
    small: Callable[..., Told],
) -> None:
    """There is no room for the outcome: one sentence says which file, and all is removed."""

    def full(disk: Path, event: str, _facts: dict[str, Any]) -> None:
        if event == "gate_open":
            small_disk.fill(disk)

    told = small(full)
    assert "outcome.json cannot be written: No space left on device" in told.failed
    assert {"sysv_shm", "sysv_sem"} <= {entry["kind"] for entry in told.made}
    assert still_there(told.made) == []
