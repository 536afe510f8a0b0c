"""What becomes of trades when nothing guards the table, and a process is killed or stopped."""

from __future__ import annotations

from typing import Any

from common.consequences import reading
from common.consequences.cell import Asked, Column, Row, Seen
from common.consequences.sections import tables
from common.history.case import Case
from common.verdict.wording import many

NUMBER = 5
TITLE = "Without a lock: a process is struck between its accesses, and another one goes on"
ROW = "table"
COLUMNS = (
    Column(
        "outside", "killed before reading", "unlocked_killed_before_reading",
        "one process was killed before its read",
    ),
    Column(
        "before", "killed before writing", "unlocked_killed_before_writing",
        "one process was killed between its read and its write",
    ),
    Column(
        "after", "killed after writing", "unlocked_killed_after_writing",
        "one process was killed after its write",
    ),
    Column(
        "half", "killed between two writes", "unlocked_killed_between_writes",
        "one process was killed between its two writes",
    ),
    Column(
        "stopped", "stopped before writing", "unlocked_stopped",
        "one process was stopped between its read and its write",
    ),
)  # fmt: skip


def rows() -> list[Row]:
    """Return every kind of table: none of them keeps processes apart."""
    return tables.rows()


def ask(row: Row, column: Column) -> Asked:
    """Return the run."""
    variant = {"stopped": "overwritten", "half": "half"}.get(column.name, "race")
    return Asked(variant, (tables.store(row),))


def see(row: Row, column: Column, case: Case, document: dict[str, Any]) -> Seen:
    """Return what was lost, and whether the other one went on."""
    lost = sum(f["count"] for f in document["findings"] if f["kind"] == "lost_update")
    other = reading.members(case, "second")[0]
    went_on = other.phase == "done"
    if column.name == "half":
        word = "BROKEN" if lost else "whole"
        clause = f"one row is written and the other is {'not' if lost else 'too'}"
    else:
        known = _accounted(case)
        word = f"LOST {lost}" if lost else "its own lost" if known == "not done" else "stays"
        clause = {
            "not done": "its own trade was not done",
            "done": "its last trade counts, though it could not say so",
            "all told": f"{many(lost, 'update')} of the other were lost",
        }[known]
    went = "the other went on" if went_on else "the other did not go on"
    sentence = f"{row.label}: {column.what}; {clause}; {went}, and nobody was told."
    return Seen(word, sentence, "" if went_on else "nothing guards it, and somebody waited")


def _accounted(case: Case) -> str:
    """Return whether the trade that was in flight when a process died is in the table."""
    struck = reading.members(case, "first")[0]
    if struck.phase == "done":
        return "all told"
    assert case.plan.table is not None
    assert case.outcome.final is not None
    done = [
        sign * one["v0"] for name in ("first-0", "second-0") for sign, one in _updates(case, name)
    ]
    stock = len(case.plan.table.rows[0]) - 1
    before, after = case.plan.table.rows[0][stock], case.outcome.final[0][stock]
    return "not done" if after == before + sum(done) else "done"


def _updates(case: Case, name: str) -> list[tuple[int, dict[str, Any]]]:
    history = case.history
    for which, recorded in enumerate(history.processes):
        if recorded.name == name:
            begin, end = history.bounds[which], history.bounds[which + 1]
            return [
                (history.operation(at).sign, history.record(at))
                for at in range(begin, end)
                if history.done[at]
            ]
    return []
