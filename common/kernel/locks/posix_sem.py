"""A named POSIX semaphore: a free one costs no system call, but a killed holder keeps it for ever.

Nobody can tell who holds it. A semaphore that was unlinked keeps working for those who have it
open, so its removal is not noticed (sem_unlink(3)). sem_timedwait(3) counts in CLOCK_REALTIME:
it is asked for short waits only, and the deadline is kept in CLOCK_MONOTONIC.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import posix_ipc

from common.errors import KernelObjectError
from common.kernel import posix, touch
from common.kernel.locks import HELD, Address, Facts, Lock, Quick
from common.kernel.waits import Wait

if TYPE_CHECKING:
    from common.kernel.objects import Maker

# Whether one process at a time is inside, and whether a waiter is told of the object's removal.
EXCLUDES = True
TELLS_REMOVAL = False

# The objects of a limited number that one lock makes.
OBJECTS = {"posix_sem": 1}


@dataclass(frozen=True)
class Options:
    """None."""


def facts(options: Options) -> Facts:
    """Return how it behaves (sem_overview(7), sem_wait(3))."""
    return Facts(
        holder_dies=HELD,
        counts=True,
        inherited=False,
        waiting="sleeps in sem_timedwait(3)",
        order="not promised; about first come on Linux, and who finds it free overtakes",
        limits="room in /dev/shm; a value of at most 2147483647",
        persists="until it is unlinked and nobody has it open, or the machine reboots",
        named="a POSIX IPC name (/dev/shm/sem.NAME on Linux)",
    )


def make(options: Options, maker: Maker) -> dict[str, Any]:
    """Make one named semaphore of value 1: free."""
    return {"name": maker.posix_sem(1)}


def attach(address: Address, wait: Wait, what: str) -> PosixSemaphoreLock:
    """Open the lock; raises ``ObjectVanished``, ``NotPermitted`` and ``KernelObjectError``."""
    return PosixSemaphoreLock(posix.opened(address["name"], what), wait, what)


def reset(address: Address) -> None:
    """Set the semaphore back to 1."""
    posix.set_value(address["name"], 1)


def holder(address: Address) -> int | None:
    """Return None: nobody can tell who holds a POSIX semaphore."""
    return None


def value(address: Address) -> int | None:
    """Return the semaphore's value; None when it is gone."""
    return posix.get_value(address["name"])


class PosixSemaphoreLock:
    """The lock of one process; ``acquire`` and ``release`` are closures over the bare calls."""

    def __init__(self, semaphore: posix_ipc.Semaphore, wait: Wait, what: str) -> None:
        self.acquire, self.release, self.abandon, self.quick = _calls(semaphore, wait, what)
        self.taking, self.giving = touch.of_lock(what, lambda: semaphore.value > 0)
        self.close = semaphore.close

    @property
    def reading(self) -> Lock:
        """Itself: a semaphore knows no readers."""
        return self


def _calls(
    semaphore: posix_ipc.Semaphore, wait: Wait, what: str
) -> tuple[Callable[[], None], Callable[[], None], Callable[[], None], Quick]:
    # Closures: no attribute is looked up and no call is forwarded where the lock is free.
    take, give, busy = semaphore.acquire, semaphore.release, posix_ipc.BusyError
    held = False

    def stand() -> None:
        with wait.standing(what) as deadline:
            while True:
                try:
                    take(deadline.tick())
                except (busy, posix_ipc.SignalError):
                    continue
                return

    def acquire() -> None:
        nonlocal held
        try:
            take(0.0)  # a float, as sem_timedwait gets it: nothing has to be converted
        except busy:
            stand()
        held = True

    def release() -> None:
        nonlocal held
        if not held:
            # A second release would make the value 2, and two processes would go in.
            raise KernelObjectError(f"{what}: released, but this process does not hold it")
        held = False
        give()

    def abandon() -> None:
        nonlocal held
        held = False

    bare = functools.partial(take, 0.0)
    quick = Quick(bare, busy, stand, give, (), lambda error: error)
    return acquire, release, abandon, quick
