"""An unnamed POSIX semaphore in shared memory: as the named one, but found by its address.

A killed holder keeps it for ever, and nobody can tell who that is. It is a ``sem_t`` made with
``pshared`` (sem_init(3)); without, a process with other memory is never woken. Its segment may be
removed while processes have it attached: they notice nothing.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.errors import KernelObjectError
from common.kernel import touch
from common.kernel.libc import semaphores
from common.kernel.libc.bare import Busy, Timed, bare, forbid
from common.kernel.locks import HELD, Address, Facts, Lock, Quick, _line
from common.kernel.locks._owning import owning
from common.kernel.waits import Wait

if TYPE_CHECKING:
    from common.kernel.objects import Maker

# Whether one process at a time is inside, and whether a waiter is told of the object's removal.
EXCLUDES = True
TELLS_REMOVAL = False

# The objects of a limited number that one lock, or all of one ``make_rows``, make.
OBJECTS = _line.OBJECTS


@dataclass(frozen=True)
class Options:
    """None."""


def facts(options: Options) -> Facts:
    """Return how it behaves (sem_overview(7), sem_init(3))."""
    return Facts(
        holder_dies=HELD,
        counts=True,
        inherited=False,
        waiting="sleeps in sem_clockwait(3)",
        order="not promised; about first come on Linux, and who finds it free overtakes",
        limits="room in shared memory; a value of at most 2147483647",
        persists="as long as the memory that it lies in",
        named="no name: its address in shared memory (sem_t *)",
    )


def make(options: Options, maker: Maker) -> dict[str, Any]:
    """Make one semaphore of value 1: free."""
    return make_rows(options, 1, maker)[0]


def make_rows(options: Options, count: int, maker: Maker) -> list[dict[str, Any]]:
    """Make semaphores of value 1 in one segment."""
    return _line.make_rows(count, maker, _free)


def attach(address: Address, wait: Wait, what: str) -> UnnamedSemaphoreLock:
    """Open the lock; raises ``ObjectVanished`` and ``NotPermitted``."""
    return UnnamedSemaphoreLock(_line.Line(address, what), wait, what)


def reset(address: Address) -> None:
    """Make the semaphore anew: nobody may be using it (sem_init(3))."""
    with _line.line(address) as line:
        _free(line.address)


def holder(address: Address) -> int | None:
    """Return None: nobody can tell who holds a POSIX semaphore."""
    return None


def value(address: Address) -> int | None:
    """Return the semaphore's value; None when it is gone."""
    return _line.look(address, lambda line: semaphores.value(line.pointer))


class UnnamedSemaphoreLock:
    """The lock of one process."""

    def __init__(self, line: _line.Line, wait: Wait, what: str) -> None:
        block = Timed("sem_clockwait", line.pointer)
        stand = _standing(block, wait, what)
        # Whether it would have to wait is all that can be wrong (sem_trywait(3)).
        take = bare("sem_trywait", line.pointer, otherwise=_busy)
        enter = bare("sem_trywait", line.pointer, otherwise=lambda _answer: stand())
        give = bare("sem_post", line.pointer, otherwise=_full(what))
        self.acquire, self.release, self.abandon = owning(enter, give, what)
        self.quick = Quick(take, Busy, stand, give, (), lambda error: error)
        self.taking, self.giving = touch.of_lock(what, lambda: semaphores.value(line.pointer) > 0)
        self._line = line
        self._calls = (block, take, enter, give)

    @property
    def reading(self) -> Lock:
        """Itself: a semaphore knows no readers."""
        return self

    def close(self) -> None:
        """Detach the memory; later calls are refused."""
        forbid(*self._calls)
        self._line.close()


def _free(address: int) -> None:
    semaphores.init(address, 1)


def _busy(_answer: int) -> None:
    raise Busy


def _full(what: str) -> Callable[[int], None]:
    def refused(_answer: int) -> None:
        raise KernelObjectError(f"{what}: it is at its greatest value")

    return refused


def _standing(block: Timed, wait: Wait, what: str) -> Callable[[], None]:
    def stand() -> None:
        with wait.standing(what) as deadline:
            while number := block(deadline.tick()):
                if number not in (errno.ETIMEDOUT, errno.EINTR):
                    raise KernelObjectError(f"{what}: {os.strerror(number)}")

    return stand
