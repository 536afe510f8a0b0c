"""Python's multiprocessing.Lock: a POSIX semaphore inside, so a killed holder keeps it for ever.

Python itself hands its name to the processes that it starts and opens it there; here every process
does the same, however it was started. Its release is refused when it is free, but may be called by
any process. That it does not outlive its holder is an open question of CPython (issue 88304).
"""

from __future__ import annotations

# What multiprocessing.Lock is inside: its acquire and release are this object's own.
from _multiprocessing import SemLock
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from common.errors import KernelObjectError, NotPermitted, ObjectVanished
from common.kernel import posix, touch
from common.kernel.locks import HELD, Address, Facts, Lock, Quick
from common.kernel.locks._owning import owning
from common.kernel.waits import Wait

if TYPE_CHECKING:
    from common.kernel.objects import Maker

# Whether one process at a time is inside, and whether a waiter is told of the object's removal.
EXCLUDES = True
TELLS_REMOVAL = False

# The objects of a limited number that one lock makes.
OBJECTS = {"posix_sem": 1}

# What multiprocessing.Lock is among the semaphores of its module: SEMAPHORE, of at most 1.
KIND, GREATEST = 1, 1


@dataclass(frozen=True)
class Options:
    """None."""


def facts(options: Options) -> Facts:
    """Return how it behaves (the documentation of multiprocessing, sem_overview(7))."""
    return Facts(
        holder_dies=HELD,
        counts=False,
        inherited=False,
        waiting="sleeps in sem_timedwait(3)",
        order="not promised; about first come on Linux, and who finds it free overtakes",
        limits="room in /dev/shm",
        persists="until it is unlinked and nobody has it open, or the machine reboots",
        named="a POSIX IPC name: Python hands it on with the object, the lab tells it to programs",
    )


def make(options: Options, maker: Maker) -> dict[str, Any]:
    """Make the semaphore of one lock, of value 1: free."""
    return {"name": maker.posix_sem(1)}


def attach(address: Address, wait: Wait, what: str) -> MultiprocessingLock:
    """Open the lock; raises ``ObjectVanished`` and ``NotPermitted``."""
    name = address["name"]
    try:
        # What Python does where one arrives in a process that was spawned.
        lock = SemLock._rebuild(0, KIND, GREATEST, name)
    except FileNotFoundError:
        raise ObjectVanished(f"{what}: there is no POSIX semaphore {name}") from None
    except PermissionError:
        raise NotPermitted(f"{what}: POSIX semaphore {name} is closed to this user") from None
    return MultiprocessingLock(lock, wait, what)


def reset(address: Address) -> None:
    """Set the semaphore back to 1."""
    posix.set_value(address["name"], 1)


def holder(address: Address) -> int | None:
    """Return None: nobody can tell who holds a POSIX semaphore."""
    return None


def value(address: Address) -> int | None:
    """Return the semaphore's value; None when it is gone."""
    return posix.get_value(address["name"])


class Held(Exception):
    """Somebody has it."""


class MultiprocessingLock:
    """The lock of one process; ``acquire`` and ``release`` are closures over the object's own."""

    def __init__(self, lock: SemLock, wait: Wait, what: str) -> None:
        take, stand, give, free, self.close = _calls(lock, wait, what)

        def enter() -> None:
            try:
                take()
            except Held:
                stand()

        self.acquire, self.release, self.abandon = owning(enter, give, what)
        self.quick = Quick(take, Held, stand, give, (), lambda error: error)
        self.taking, self.giving = touch.of_lock(what, free)

    @property
    def reading(self) -> Lock:
        """Itself: it knows no readers."""
        return self


def _calls(
    lock: SemLock, wait: Wait, what: str
) -> tuple[
    Callable[[], None],
    Callable[[], None],
    Callable[[], None],
    Callable[[], bool],
    Callable[[], None],
]:
    acquire: Callable[..., bool] = lock.acquire
    release: Callable[[], None] = lock.release
    is_zero: Callable[[], bool] = lock._is_zero

    def take() -> None:
        if not acquire(False):
            raise Held

    def stand() -> None:
        with wait.standing(what) as deadline:
            while not acquire(True, deadline.tick()):
                pass

    def give() -> None:
        try:
            release()
        except ValueError:
            raise KernelObjectError(f"{what}: released, but it was free") from None

    def free() -> bool:
        return not is_zero()

    def close() -> None:
        # The semaphore is closed with the last reference to what holds it.
        nonlocal acquire, release, is_zero
        acquire = release = is_zero = partial(_refuse, what)

    return take, stand, give, free, close


def _refuse(what: str, *_arguments: object) -> NoReturn:
    raise KernelObjectError(f"{what}: it was closed")
