"""How a teller uses the table's locks: as it should, or broken in one of the ways that people do.

Each broken way leaves the accesses of a trade as they are and changes only who holds what
meanwhile. The record of a trade says which lock was held at its first access and at its last.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from common.history import record
from common.kernel.locks import Lock, Quick, none
from common.kernel.touch import At, Touch
from common.process.context import Context
from exchange.layout import ROWS

PROPER, DROPPED, SHRUNK, WRONG_ROW, GIVEN_TWICE = (
    "proper", "dropped", "shrunk", "wrong_row", "given_twice",
)  # fmt: skip
MODES = (PROPER, DROPPED, SHRUNK, WRONG_ROW, GIVEN_TWICE)


class Guard(NamedTuple):
    """What stands around the trades in one row.

    ``quick`` are the calls of its lock, ``at`` the step hook to use; ``held`` is what the kind of
    a record adds for the locks held; ``taking`` and ``giving`` are what its two steps touch.
    """

    quick: Quick
    at: At | None
    held: int
    taking: Touch | None
    giving: Touch | None


def guards(context: Context, mode: str) -> list[Guard]:
    """Return the guard of each row; one and the same where one lock guards the whole table."""
    made: dict[int, Guard] = {}
    found = []
    for row in range(len(ROWS)):
        lock = context.table_lock((row + 1) % len(ROWS) if mode == WRONG_ROW else row)
        if id(lock) not in made:
            number = context.lock_number((row + 1) % len(ROWS) if mode == WRONG_ROW else row)
            made[id(lock)] = _guard(context, lock, number, mode)
        found.append(made[id(lock)])
    return found


def _guard(context: Context, lock: Lock, number: int, mode: str) -> Guard:
    first, last = number * record.HELD_FIRST, number * record.HELD_LAST
    at = context.at
    if mode == DROPPED:
        return Guard(none.NoLock().quick, at, 0, None, None)
    if mode == SHRUNK:
        return Guard(none.NoLock().quick, _around_the_write(context, lock), last, None, None)
    quick = lock.quick
    if mode == GIVEN_TWICE and quick.give is not None:
        quick = quick._replace(give=_twice(quick.give))
    return Guard(quick, at, first + last, lock.taking, lock.giving)


def _around_the_write(context: Context, lock: Lock) -> At:
    """Return a hook that takes the lock only where the trade writes."""
    at = context.at
    # To take the lock there begins no trade: nobody can be stopped before it.
    taking = at if context.turns is None else context.turns.within
    holding = False

    def shrunk(step: str, touch: Touch | None = None) -> None:
        nonlocal holding
        if step == "write":
            if taking is not None:
                taking("acquire", lock.taking)
            lock.acquire()
            holding = True
        # A trade that its own check turned down has nothing to release.
        released = holding and step == "release"
        if at is not None:
            at(step, lock.giving if released else touch)
        if released:
            lock.release()
            holding = False

    return shrunk


def _twice(give: Callable[[], object]) -> Callable[[], object]:
    def given_twice() -> None:
        give()
        give()

    return given_twice
