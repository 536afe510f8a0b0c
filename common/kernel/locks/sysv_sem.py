"""A System V semaphore: the lecture's lock, which the kernel frees when its holder dies.

With ``undo`` (SEM_UNDO, semop(2)) a killed holder gives the lock back; the row that it was
writing stays half written. Without, the lock is held for ever and every waiter's deadline passes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sysv_ipc

from common.errors import KernelObjectError
from common.kernel import asking, touch
from common.kernel.foreign import Awaited
from common.kernel.locks import FREED, HELD, Address, Facts, Lock, Quick
from common.kernel.sysv import Semaphore, get_value, last_pid, set_value
from common.kernel.waits import Wait
from common.options import option

if TYPE_CHECKING:
    from common.kernel.objects import Maker

# Whether one process at a time is inside, and whether a waiter is told of the object's removal.
EXCLUDES = True
TELLS_REMOVAL = True

# What tells who has it.
ASKED_BY = "GETPID"

# The objects of a limited number that one lock makes.
OBJECTS = {"sysv_sem": 1}


@dataclass(frozen=True)
class Options:
    """What becomes of the lock when its holder dies."""

    undo: bool = option(
        True,
        about="the kernel frees the lock when its holder dies (SEM_UNDO); false: it never does",
    )
    key: int | None = asking.key("the semaphore", "the lecture uses 5678 and 1234 for others")
    made_by: str = asking.maker()


def facts(options: Options) -> Facts:
    """Return how it behaves (semop(2), semget(2))."""
    return Facts(
        holder_dies=FREED if options.undo else HELD,
        counts=True,
        inherited=False,
        waiting="sleeps in semtimedop(2)",
        order="first come, first served on Linux; a newcomer that finds it free overtakes",
        limits="semmni sets (fourth of kernel.sem); a value of at most 32767",
        persists="until it is removed, or its IPC namespace ends",
        named="a key_t; the id in each process",
    )


def make(options: Options, maker: Maker) -> dict[str, Any]:
    """Make one semaphore of value 1: free."""
    return {"key": maker.sysv_sem(1, options.key), "undo": options.undo}


def awaited(options: Options, size: int) -> list[Awaited]:
    """Return what another program makes, where the lab does not."""
    return [] if options.key is None else [Awaited("sysv_sem", options.key)]


def named(options: Options, size: int) -> dict[str, Any]:
    """Return the address of a semaphore that another program makes."""
    return {"key": options.key, "undo": options.undo}


def attach(address: Address, wait: Wait, what: str) -> SysvSemaphoreLock:
    """Open the lock; raises ``ObjectVanished`` and ``NotPermitted``."""
    return SysvSemaphoreLock(Semaphore(address["key"], wait, what, undo=address["undo"]), what)


def reset(address: Address) -> None:
    """Set the semaphore back to 1, which also clears every process's undo (semctl(2), SETVAL)."""
    set_value(address["key"], 1)


def holder(address: Address) -> int | None:
    """Return the process that changed a semaphore last, if it is taken now (semctl(2), GETPID)."""
    return last_pid(address["key"])


def value(address: Address) -> int | None:
    """Return the semaphore's value; None when it is gone.

    With ``undo`` the kernel has taken back what each process that ended gave too often.
    """
    return get_value(address["key"])


class SysvSemaphoreLock:
    """The lock of one process; ``acquire`` and ``release`` are closures over the bare calls."""

    def __init__(self, semaphore: Semaphore, what: str) -> None:
        self.acquire, self.release, self.abandon = _calls(semaphore, what)
        self.quick = Quick(
            semaphore.take,
            sysv_ipc.BusyError,
            semaphore.stand,
            semaphore.give,
            (sysv_ipc.Error,),
            lambda error: semaphore.vanished(),
        )
        self.taking, self.giving = touch.of_lock(what, lambda: semaphore.value > 0)
        self.close = semaphore.close

    @property
    def reading(self) -> Lock:
        """Itself: a semaphore knows no readers."""
        return self


def _calls(
    semaphore: Semaphore, what: str
) -> tuple[Callable[[], None], Callable[[], None], Callable[[], None]]:
    # Closures: no attribute is looked up and no call is forwarded where the lock is free.
    take, give = semaphore.take, semaphore.give
    busy, missing = sysv_ipc.BusyError, sysv_ipc.ExistentialError
    held = False

    def acquire() -> None:
        nonlocal held
        try:
            take()
        except busy:
            semaphore.stand()
        except missing:
            raise semaphore.vanished() from None
        held = True

    def release() -> None:
        nonlocal held
        if not held:
            # A second release would make the value 2, and two processes would go in.
            raise KernelObjectError(f"{what}: released, but this process does not hold it")
        held = False
        try:
            give()
        except missing:
            raise semaphore.vanished() from None

    def abandon() -> None:
        nonlocal held
        held = False

    return acquire, release, abandon
