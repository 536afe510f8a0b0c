"""A pthread mutex in shared memory: it knows its owner, but a killed one keeps it for ever.

Made PTHREAD_PROCESS_SHARED and PTHREAD_MUTEX_ERRORCHECK: who takes it twice, or gives back what it
does not hold, is told (pthread_mutex_lock(3p)). It has no name; removal of its segment is not
noticed by those who have it attached.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.errors import KernelObjectError
from common.kernel import touch
from common.kernel.libc import pthreads
from common.kernel.libc.bare import Busy, Timed, bare, forbid
from common.kernel.locks import HELD, Address, Facts, Lock, Quick, _line
from common.kernel.waits import Wait

if TYPE_CHECKING:
    from common.kernel.objects import Maker

# Whether one process at a time is inside, and whether a waiter is told of the object's removal.
EXCLUDES = True
TELLS_REMOVAL = False

# What tells who has it.
ASKED_BY = "its owner word"

# The objects of a limited number that one lock, or all of one ``make_rows``, make.
OBJECTS = _line.OBJECTS


@dataclass(frozen=True)
class Options:
    """None."""


def facts(options: Options) -> Facts:
    """Return how it behaves (pthread_mutex_lock(3p), pthread_mutexattr_setpshared(3))."""
    return Facts(
        holder_dies=HELD,
        counts=False,
        inherited=False,
        waiting="sleeps in futex(2), by pthread_mutex_clocklock",
        order="not promised; about first come on Linux, and who finds it free overtakes",
        limits="room in shared memory",
        persists="as long as the memory that it lies in",
        named="no name: its address in shared memory (pthread_mutex_t *)",
    )


def make(options: Options, maker: Maker) -> dict[str, Any]:
    """Make one free mutex."""
    return make_rows(options, 1, maker)[0]


def make_rows(options: Options, count: int, maker: Maker) -> list[dict[str, Any]]:
    """Make free mutexes in one segment."""
    return _line.make_rows(count, maker, _free)


def attach(address: Address, wait: Wait, what: str) -> MutexLock:
    """Open the lock; raises ``ObjectVanished`` and ``NotPermitted``."""
    return MutexLock(_line.Line(address, what), wait, what)


def reset(address: Address) -> None:
    """Make the mutex anew: nobody may be using it."""
    with _line.line(address) as line:
        _free(line.address)


def holder(address: Address) -> int | None:
    """Return the process that has it, also when it has died meanwhile."""
    return _line.look(address, lambda line: pthreads.owner(line.words)) or None


def value(address: Address) -> int | None:
    """Return 1 when it is free, 0 when it is held; None when it is gone."""
    return _line.look(address, lambda line: int(not pthreads.owner(line.words)))


def _free(address: int) -> None:
    pthreads.init_mutex(address, robust=False)


class MutexLock:
    """The lock of one process; the mutex itself knows whether this process holds it."""

    def __init__(self, line: _line.Line, wait: Wait, what: str) -> None:
        block = Timed("pthread_mutex_clocklock", line.pointer)

        def stand() -> None:
            with wait.standing(what) as deadline:
                while (number := block(deadline.tick())) == errno.ETIMEDOUT:
                    pass
            if number:
                self._answered(number)

        def busy(number: int) -> None:
            if number == errno.EBUSY:
                raise Busy
            self._answered(number)

        def enter(number: int) -> None:
            if number == errno.EBUSY:
                stand()
            else:
                self._answered(number)

        self._line = line
        self._what = what
        take = bare("pthread_mutex_trylock", line.pointer, otherwise=busy)
        # The bare calls themselves: nothing has to be remembered, so no code of ours runs.
        self.acquire = bare("pthread_mutex_trylock", line.pointer, otherwise=enter)
        self.release = bare("pthread_mutex_unlock", line.pointer, otherwise=self._answered)
        self.abandon = bare("pthread_mutex_unlock", line.pointer, otherwise=_not_mine)
        self.quick = Quick(take, Busy, stand, self.release, (), lambda error: error)
        self.taking, self.giving = touch.of_lock(what, lambda: not self.owner())
        self._calls = (block, take, self.acquire, self.release, self.abandon)

    @property
    def reading(self) -> Lock:
        """Itself: a mutex knows no readers."""
        return self

    def owner(self) -> int:
        """Return which process has it; 0 when it is free."""
        return pthreads.owner(self._line.words)

    def close(self) -> None:
        """Detach the memory; later calls are refused."""
        forbid(*self._calls)
        self._line.close()

    def _answered(self, number: int) -> None:
        match number:
            case errno.EDEADLK:
                raise KernelObjectError(f"{self._what}: this process holds it already (EDEADLK)")
            case errno.EPERM:
                said = "released, but this process does not hold it"
                raise KernelObjectError(f"{self._what}: {said} (EPERM)")
            case _:
                raise KernelObjectError(f"{self._what}: {os.strerror(number)}")


def _not_mine(_number: int) -> None:
    """Do nothing: this process did not hold it."""
