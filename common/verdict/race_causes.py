"""Why did nothing keep two accesses apart? By the locks that each held, and how a lock ended."""

from __future__ import annotations

from bisect import bisect_right
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from common import kinds
from common.history import record
from common.history.case import Case
from common.verdict.happens_before import locks_held
from common.verdict.wording import number

Causes = npt.NDArray[np.int64]


class Cause(IntEnum):
    """What is wrong with the locks of two accesses."""

    UNGUARDED = 0
    SHRUNK = 1
    DROPPED = 2
    DIFFERENT = 3
    LET_TWO_IN = 4


# How a pair of each cause is counted, and what would have prevented it.
TITLES = {
    Cause.UNGUARDED: "where nothing guards the table",
    Cause.SHRUNK: "where one takes the lock only for its write",
    Cause.DROPPED: "where one goes in without the lock",
    Cause.DIFFERENT: "where each holds another lock",
    Cause.LET_TWO_IN: "where both say that they held the lock",
}
REMEDIES = {
    Cause.SHRUNK: "take the lock before the first read, and hold it until the write is done",
    Cause.DROPPED: "a lock keeps apart only those who take it: all who use the row must",
    Cause.DIFFERENT: "take the lock of the row that is accessed: two locks keep nobody apart",
    Cause.LET_TWO_IN: "take the lock before saying so, and give it back once for each time that it "
    "was taken",
}


def guarded(case: Case) -> bool:
    """Tell whether the plan has a lock for the table at all."""
    table = case.plan.table
    return table is not None and kinds.load(kinds.LOCKS, table.lock.kind).EXCLUDES


def causes(case: Case, one: tuple[Any, Any], other: tuple[Any, Any]) -> Causes:
    """Return the cause of each race, from the locks that each held first and last."""
    (first, last), (first2, last2) = one, other
    if not guarded(case):
        return np.full(len(first), Cause.UNGUARDED, np.int64)
    shrunk = (first != last) | (first2 != last2)
    without = (last == record.NO_LOCK) | (last2 == record.NO_LOCK)
    chosen = [without, shrunk, last != last2]
    found: Causes = np.select(
        chosen, [Cause.DROPPED, Cause.SHRUNK, Cause.DIFFERENT], Cause.LET_TWO_IN
    )
    return found


def cause_of(case: Case, one: int, other: int) -> Cause:
    """Return the cause of the race of two records."""
    held = (np.array([_held(case, at)]).T for at in (one, other))
    (found,) = causes(case, *((first, last) for first, last in held)).tolist()
    return Cause(found)


def lock_name(case: Case, lock: int) -> str:
    """Return what people call a lock that records know by its number."""
    if lock == record.NO_LOCK:
        return "no lock"
    if lock == record.TABLE_LOCK:
        return "the table's lock"
    return f"the lock of {case.row(lock - record.FIRST_ROW_LOCK)}"


def holding(case: Case, at: int) -> str:
    """Tell which lock an operation held."""
    first, last = _held(case, at)
    if first == last:
        return f"holding {lock_name(case, first)}"
    return (
        f"holding {lock_name(case, first)} when it read and {lock_name(case, last)} when it wrote"
    )


def reason(case: Case, one: int, other: int) -> str:
    """Name what is wrong with the locks of two accesses to the same row."""
    who = {at: case.process(at) for at in (one, other)}
    match cause_of(case, one, other):
        case Cause.UNGUARDED:
            return "nothing guards the table"
        case Cause.DROPPED:
            return _dropped(case, one, other)
        case Cause.SHRUNK:
            early = [who[at] for at in (one, other) if _held(case, at)[0] != _held(case, at)[1]]
            takes = "takes" if len(early) == 1 else "take"
            return f"{' and '.join(early)} {takes} the lock only for the write, after the read"
        case Cause.DIFFERENT:
            return _different(case, one, other)
        case _:
            return _let_two_in(case, one, other)


def _dropped(case: Case, one: int, other: int) -> str:
    bare = [at for at in (one, other) if _held(case, at)[1] == record.NO_LOCK]
    if len(bare) == 2:
        early = [case.process(at) for at in bare if _held(case, at)[0] != record.NO_LOCK]
        if not early:
            return "neither takes the lock"
        gives = "gives" if len(early) == 1 else "both give"
        return f"{' and '.join(early)} {gives} the lock back before the write"
    keeper = other if bare == [one] else one
    lock = lock_name(case, _held(case, keeper)[1])
    return f"{case.process(bare[0])} goes in without {lock}, which {case.process(keeper)} takes"


def _different(case: Case, one: int, other: int) -> str:
    row = int(case.history.objects[one])
    wrong = [at for at in (one, other) if _held(case, at)[1] != record.FIRST_ROW_LOCK + row]
    names = " and ".join(
        f"{case.process(at)} took {lock_name(case, _held(case, at)[1])}" for at in wrong
    )
    return f"two different locks keep nobody apart, and {names} for a row of {case.row(row)}"


def _let_two_in(case: Case, one: int, other: int) -> str:
    lock = _held(case, one)[1]
    told = f"{lock_name(case, lock)} let two in at once"
    values = case.outcome.lock_values
    at = max(0, lock - record.FIRST_ROW_LOCK)
    value = values[at] if at < len(values) else None
    if value is None or value <= 1:
        return _claimed(case, lock, [case.process(each) for each in (one, other)]) or (
            f"{told}: somebody gave back what was not taken, or put another in its place"
        )
    excess = "once" if value == 2 else f"{number(value - 1)} times"
    ended = f"it ended at {number(value)} where a free lock is at 1"
    return f"{told}: {ended}, given back {excess} too often"


def _claimed(case: Case, lock: int, names: list[str]) -> str:
    """Tell of programs among these two that say they held a lock; "" where both are the lab's own.

    The lab's own take what they say that they hold. A program may say what it has not done.
    """
    foreign = {process.name for process in case.outcome.processes if process.level}
    programs = [name for name in names if name in foreign]
    if not programs:
        return ""
    who = programs[0] if len(programs) == 1 else "one of them"
    are = "is a program that is" if len(programs) == 1 else "are programs that are"
    return (
        f"{' and '.join(names)} say that they held {lock_name(case, lock)} at once: it let both "
        f"in, or {who} did not take it ({' and '.join(programs)} {are} not the lab's own)"
    )


def _held(case: Case, at: int) -> tuple[int, int]:
    history = case.history
    which = bisect_right(history.bounds, at) - 1
    place = at - history.bounds[which]
    first, last = locks_held(history, which, place, place + 1)
    return int(first[0]), int(last[0])
