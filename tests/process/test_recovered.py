"""A lock that tells its next owner that the last one died in it: the run says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.history.outcome import Outcome, ProcessOutcome
from common.report.recovered import recovered
from tests.process.supervised import plan_of
from tests.process.test_supervise import process, supervise


@pytest.mark.parametrize(
    ("lock", "summary"),
    [("robust_mutex", {"done": 1, "recovered": 1}), ("sysv_semset", {"done": 1})],
)
def test_the_next_owner_says_so_where_the_kernel_tells(
    lock: str, summary: dict[str, int], tmp_path: Path
) -> None:
    """A robust mutex tells (EOWNERDEAD); with undo a semaphore is freed in silence."""
    found = supervise(tmp_path, "dies_inside", "locks_once", table=True, lock=lock)
    assert process(found, "locks_once")["summary"] == summary


def test_the_report_names_the_process_and_what_it_means() -> None:
    """The lock is sound, the row perhaps not; whatever else a summary says is no such news."""
    processes = [
        ProcessOutcome(name, "trader", "exchange", at, 100 + at)
        for at, name in enumerate(("a", "b", "c"))
    ]
    processes[0].summary = {"recovered": 2}
    processes[1].summary = {"recovered": "often"}
    outcome = Outcome(gate_ns=0, ended_ns=1, processes=processes)
    [said] = recovered(plan_of({"roles": ["works"]}), outcome, None)
    assert said.startswith(
        "a was given a lock by an owner that had died in it (EOWNERDEAD), 2 times"
    )
    assert "half written" in said
