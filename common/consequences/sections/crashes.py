"""What becomes of lock and table when a process is killed at a point of an update of two rows."""

from __future__ import annotations

from collections.abc import Hashable
from types import ModuleType
from typing import Any

from common import kinds
from common.consequences import reading
from common.consequences.cell import Asked, Column, Row, Seen
from common.consequences.reading import entries, failure, members, strike
from common.consequences.rows import rows as rows_of
from common.consequences.sections.locks import IN_VAIN
from common.history.case import Case
from common.kernel.locks import HELD, TOLD, Facts
from common.verdict.recoveries import WHOLE, ended

NUMBER = 2
TITLE = "Crash points: killed at each point of an update of two rows under one lock"
ROW = "lock"

_POINTS = (
    ("before", "before the lock", "killed_before_the_lock", "killed before it took the lock"),
    ("inside", "inside", "killed_inside", "killed inside, before it had read anything"),
    ("read", "after reading", "killed_after_reading", "killed before its first write"),
    ("between", "between two writes", "killed_between_two_writes", "killed between its two writes"),
    ("written", "after both writes", "killed_after_both_writes", "killed after both writes"),
    ("after", "after the lock", "killed_after_the_lock", "killed after it gave the lock back"),
)
# What is done has to be said where there is a record: the last store before the release.
_COMMIT = ("commit", "before the commit", "killed_before_the_commit", "killed before it committed")
_WITH_COMMIT = (*_POINTS[:4], _COMMIT, *_POINTS[4:])
_INTENT = "_intent"
COLUMNS = tuple(
    Column(f"{name}{suffix}", f"{heading}{more}", scenario, f"a process was {what}{more}")
    for suffix, more, points in (
        ("", "", _POINTS),
        (_INTENT, ", with an intent record", _WITH_COMMIT),
    )
    for name, heading, scenario, what in points
)
_OUTSIDE = ("before", "after")

# What becomes of the table, where it is not whole anyway.
WHOLE_TABLE = "whole"
_LEFT = {"between": "BROKEN", "between_intent": "undone", "commit_intent": "undone"}


def rows() -> list[Row]:
    """Return every lock that excludes, with each choice that changes what its holder leaves."""
    every = rows_of(kinds.LOCKS, _difference)
    return [row for row in every if kinds.load(kinds.LOCKS, row.kind).EXCLUDES]


def _difference(module: ModuleType, options: Any) -> Hashable:
    facts: Facts = module.facts(options)
    return facts.holder_dies


def ask(row: Row, column: Column) -> Asked:
    """Return the variant by what the lock says of a killed holder."""
    mended, outside = _parts(column)
    held = not outside and _said(row) == HELD
    variant = ("held_" if held else "") + "mended" if mended else "held" if held else "freed"
    return Asked(variant, (f"table.lock={row.value}", *((IN_VAIN,) if held else ())))


def see(row: Row, column: Column, case: Case, document: dict[str, Any]) -> Seen:
    """Return who got the lock afterwards, and whether the table is whole."""
    struck = strike(case, "kill")
    if not struck:
        return Seen("never struck", "The fault never struck.", "it did not happen")
    waiters, inside = members(case, "waiter"), entries(case, "waiter")
    hung = any(failure(waiter) == "WaitExpired" for waiter in waiters)
    told = any(waiter.summary.get("recovered") for waiter in waiters)
    broken = "lost_update" in reading.found(document)
    mended = [entry for entry in case.outcome.recoveries if "phase" in entry]
    repaired = [ended(entry) for entry in mended if ended(entry) != WHOLE]
    table = "BROKEN" if broken else repaired[0] if repaired else WHOLE_TABLE
    if inside:
        after = reading.time(inside[0].entered - max(struck["at_ns"], inside[0].asked))
        lock = "free" if _parts(column)[1] else f"told {after}" if told else after
        clause = f"{inside[0].process.name} got the lock {after} later"
        clause += ", and was told that its holder had died" if told else ""
    else:
        lock = "HELD"
        clause = f"both waiters waited {case.plan.deadlines.wait:g} s in vain"
    sentence = f"{row.label}: {column.what}; {clause}. {_table(broken, repaired, mended)}"
    differs = _differs(row, column, hung, told)
    left = _LEFT.get(column.name, WHOLE_TABLE)
    if not differs and table != left:
        differs = f"the table was to be {left}"
    return Seen(f"{table}, {lock}", sentence, differs)


def _table(broken: bool, repaired: list[str], mended: list[dict[str, Any]]) -> str:
    if broken:
        return "The table is broken, one row is written and the other is not: nobody was told."
    if repaired:
        by = mended[0]["by"]
        return f"What was half done was {repaired[0]} by {by}: the table is whole."
    noticed = f" {mended[0]['by']} noticed the death." if mended else ""
    return f"The table is whole.{noticed}"


def _differs(row: Row, column: Column, hung: bool, told: bool) -> str:
    _, outside = _parts(column)
    said = _said(row)
    if hung != (said == HELD and not outside):
        return f"its holder's death {'stopped' if hung else 'did not stop'} the others"
    if told != (said == TOLD and not outside):
        return f"the next one was {'' if told else 'not '}told"
    return ""


def _said(row: Row) -> str:
    module = kinds.load(kinds.LOCKS, row.kind)
    said: str = module.facts(module.Options(**row.options)).holder_dies
    return said


def _parts(column: Column) -> tuple[bool, bool]:
    """Return whether there is an intent record, and whether the lock is not held at that point."""
    return column.name.endswith(_INTENT), column.name.removesuffix(_INTENT) in _OUTSIDE
