"""Which lock did an operation hold, and who had it while the operation waited? In words."""

from __future__ import annotations

from bisect import bisect_right

from common.history import record
from common.history.case import Case
from common.verdict import lock_waits
from common.verdict.happens_before import locks_held
from common.verdict.race_causes import guarded, lock_name
from common.verdict.wording import many

# More names are no longer read.
MOST = 3


def held(case: Case, position: int) -> tuple[int, int]:
    """Return the numbers of the locks held at the first and at the last access."""
    history = case.history
    which = bisect_right(history.bounds, position) - 1
    at = position - history.bounds[which]
    first, last = locks_held(history, which, at, at + 1)
    return int(first[0]), int(last[0])


def with_lock(case: Case, position: int) -> str:
    """Return with which lock an operation on the table went in; nothing where none guards it."""
    if case.history.operation(position).place != "table" or not guarded(case):
        return ""
    first, _ = held(case, position)
    return " without a lock" if first == record.NO_LOCK else f" with {lock_name(case, first)}"


def late_lock(case: Case, position: int) -> str:
    """Return the lock that an operation took only after its first access, if it did so."""
    if case.history.operation(position).place != "table":
        return ""
    first, last = held(case, position)
    return lock_name(case, last) if first != last else ""


def waiting(case: Case, position: int) -> tuple[str, bool]:
    """Return what an operation asked for, and whether others are known to have been inside.

    Empty where it asked for no lock. Most take a stamp before they ask, whether they have to wait
    or not: that it *waits* is said where a record tells for whom.
    """
    wait = lock_waits.wait_at(case, position)
    if wait is None:
        return "", False
    lock = lock_waits.name(case, wait.lock)
    holders = lock_waits.holders(case, wait)
    if not holders:
        return f"asks for {lock}", False
    told = [who + (f", {count} times" if count > 1 else "") for who, count in holders.items()]
    rest = len(told) - MOST
    if rest > 0:
        told[MOST:] = [f"{many(rest, 'other')}"]
    return f"waits for {lock} (held by {', then '.join(told)})", True
