"""A System V semaphore set, a semaphore a row: the locks of several rows are taken at once.

All or none, by one semop(2) (``together``): who waits for two rows holds neither meanwhile, so
their order does not matter and no circle can come of it. With ``undo`` (SEM_UNDO) a killed holder
gives its locks back; without, they are held for ever.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.errors import KernelObjectError, NotPermitted, ObjectVanished
from common.kernel import libc, touch
from common.kernel.libc import semaphores, sysv_calls
from common.kernel.libc.bare import Busy
from common.kernel.locks import FREED, HELD, Address, Facts, Lock, Quick
from common.kernel.locks._owning import owning
from common.kernel.sysv import REMOVED
from common.kernel.touch import Touch
from common.kernel.waits import Wait
from common.options import option

if TYPE_CHECKING:
    from common.kernel.objects import Maker

# Whether one process at a time is inside, and whether a waiter is told of the object's removal.
EXCLUDES = True
TELLS_REMOVAL = True

# What tells who has it.
ASKED_BY = "GETPID"

# The objects of a limited number that one lock, or all of one ``make_rows``, make.
OBJECTS = {"sysv_sem": 1}


@dataclass(frozen=True)
class Options:
    """What becomes of the lock when its holder dies."""

    undo: bool = option(
        True,
        about="the kernel frees the lock when its holder dies (SEM_UNDO); false: it never does",
    )


def facts(options: Options) -> Facts:
    """Return how it behaves (semop(2), semget(2))."""
    return Facts(
        holder_dies=FREED if options.undo else HELD,
        counts=True,
        inherited=False,
        waiting="sleeps in semtimedop(2), for one row or for several at once",
        order="first come, first served on Linux for one row; who waits for several is overtaken "
        "by those whose rows are free",
        limits="semmsl semaphores a set, semopm at once, semmni sets (kernel.sem)",
        persists="until it is removed, or its IPC namespace ends",
        named="a key_t and a number in the set; the id in each process",
    )


def make(options: Options, maker: Maker) -> dict[str, Any]:
    """Make a set of one semaphore of value 1: free."""
    return make_rows(options, 1, maker)[0]


def make_rows(options: Options, count: int, maker: Maker) -> list[dict[str, Any]]:
    """Make one set with a semaphore of value 1 for each of ``count`` rows."""
    key = maker.sysv_sem(1, count=count)
    return [{"key": key, "row": row, "undo": options.undo} for row in range(count)]


def attach(address: Address, wait: Wait, what: str) -> SetLock:
    """Open the lock of one row; raises ``ObjectVanished`` and ``NotPermitted``."""
    try:
        set_id = semaphores.set_id(address["key"])
    except FileNotFoundError:
        missing = f"{what}: there is no semaphore set with key {address['key']:#x}"
        raise ObjectVanished(missing) from None
    except PermissionError:
        closed = f"{what}: semaphore set {address['key']:#x} is closed to this user"
        raise NotPermitted(closed) from None
    return SetLock(set_id, {address["row"]: what}, address["undo"], wait)


def together(locks: Sequence[SetLock]) -> SetLock:
    """Return the lock of all rows of ``locks``: each acquisition takes all of them, or none.

    They are locks of one ``make_rows``; raises ``ValueError`` for others.
    """
    first = locks[0]
    rows = {row: what for lock in locks for row, what in lock.rows.items()}
    if {lock.set_id for lock in locks} != {first.set_id}:
        raise ValueError("these locks are not of one set: semop(2) takes one set at a time")
    return SetLock(first.set_id, rows, first.undo, first.wait)


def reset(address: Address) -> None:
    """Set the semaphore back to 1, which also clears every process's undo (semctl(2), SETVAL)."""
    sysv_calls.semctl(semaphores.set_id(address["key"]), address["row"], sysv_calls.SETVAL, 1)


def holder(address: Address) -> int | None:
    """Return the process that changed a semaphore last, if it is taken now (semctl(2), GETPID)."""
    return None if value(address) != 0 else _ask(address, sysv_calls.GETPID)


def value(address: Address) -> int | None:
    """Return the semaphore's value; None when it is gone."""
    return _ask(address, sysv_calls.GETVAL)


def _ask(address: Address, command: int) -> int | None:
    try:
        return sysv_calls.semctl(semaphores.set_id(address["key"]), address["row"], command)
    except OSError:
        return None


class SetLock:
    """The lock of one row of a set, or of several at once; ``rows`` are their names by number."""

    def __init__(self, set_id: int, rows: dict[int, str], undo: bool, wait: Wait) -> None:
        self.set_id = set_id
        self.rows = rows
        self.undo = undo
        self.wait = wait
        what = touch.AND.join(rows.values())
        flags = libc.SEM_UNDO if undo else 0
        down, up = ([(row, change, flags) for row in rows] for change in (-1, 1))
        failed = _failing(what)

        def stand() -> None:
            with wait.standing(what) as deadline:
                try:
                    while not libc.semtimedop(set_id, down, deadline.tick()):
                        pass
                except OSError as error:
                    failed(error.errno or 0)

        def busy(number: int) -> None:
            if number == errno.EAGAIN:
                raise Busy
            failed(number)

        def enter(number: int) -> None:
            if number == errno.EAGAIN:
                stand()
            else:
                failed(number)

        def ready() -> bool:
            try:
                return all(sysv_calls.semctl(set_id, row, sysv_calls.GETVAL) for row in rows)
            except OSError as error:
                failed(error.errno or 0)
                raise

        take = semaphores.bare_semop(set_id, down, busy)
        give = semaphores.bare_semop(set_id, up, failed)
        self.acquire, self.release, self.abandon = owning(
            semaphores.bare_semop(set_id, down, enter), give, what
        )
        self.quick = Quick(take, Busy, stand, give, (), lambda error: error)
        names = tuple(rows.values())
        self.taking = Touch(changes=names, ready=ready, takes=what)
        self.giving = Touch(changes=names, gives=what)

    @property
    def reading(self) -> Lock:
        """Itself: a semaphore knows no readers."""
        return self

    def close(self) -> None:
        """Let go of the handle; the set stays (the kernel keeps nothing open for it)."""


def _failing(what: str) -> Callable[[int], None]:
    def failed(number: int) -> None:
        if number in (errno.EIDRM, errno.EINVAL):
            raise ObjectVanished(f"{what}: its semaphore set no longer exists", REMOVED) from None
        raise KernelObjectError(f"{what}: {os.strerror(number)}") from None

    return failed
