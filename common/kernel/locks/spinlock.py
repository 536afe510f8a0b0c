"""A pthread spinlock in shared memory: who waits tries again and again, and burns the processor.

Python has no atomic compare-and-swap of its own: the exchange is that of pthread_spin_trylock(3).
After some tries a waiter gives the processor away, so that one core is enough for holder and
waiter. A killed holder keeps the lock for ever, and nobody can tell who that is.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.errors import KernelObjectError
from common.kernel import touch
from common.kernel.libc import pthreads
from common.kernel.libc.bare import Bare, Busy, bare, forbid
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

# Tries (some 0.1 us each) before the processor is given away and the deadline looked at.
TRIES = 100


@dataclass(frozen=True)
class Options:
    """None."""


def facts(options: Options) -> Facts:
    """Return how it behaves (pthread_spin_lock(3), pthread_spin_init(3))."""
    return Facts(
        holder_dies=HELD,
        counts=False,
        inherited=False,
        waiting=f"burns the processor: {TRIES} tries between two sched_yield(2)",
        order="none: whoever tries at the right moment",
        limits="room in shared memory; waiters cost as much as workers",
        persists="as long as the memory that it lies in",
        named="no name: its address in shared memory (pthread_spinlock_t *)",
    )


def make(options: Options, maker: Maker) -> dict[str, Any]:
    """Make one free spinlock."""
    return make_rows(options, 1, maker)[0]


def make_rows(options: Options, count: int, maker: Maker) -> list[dict[str, Any]]:
    """Make free spinlocks in one segment, each in a cache line of its own."""
    return _line.make_rows(count, maker, pthreads.init_spinlock)


def attach(address: Address, wait: Wait, what: str) -> Spinlock:
    """Open the lock; raises ``ObjectVanished`` and ``NotPermitted``."""
    return Spinlock(_line.Line(address, what), wait, what)


def reset(address: Address) -> None:
    """Make the spinlock anew: nobody may be using it."""
    with _line.line(address) as line:
        pthreads.init_spinlock(line.address)


def holder(address: Address) -> int | None:
    """Return None: nobody can tell who holds a spinlock."""
    return None


def value(address: Address) -> int | None:
    """Return 1 when it is free, 0 when it is held; None when it is gone."""
    return _line.look(address, lambda line: int(pthreads.spinlock_free(line.words)))


class Spinlock:
    """The lock of one process."""

    def __init__(self, line: _line.Line, wait: Wait, what: str) -> None:
        attempt = bare("pthread_spin_trylock", line.pointer, otherwise=lambda number: number)
        stand = _standing(attempt, wait, what)
        take = bare("pthread_spin_trylock", line.pointer, otherwise=_busy)
        enter = bare("pthread_spin_trylock", line.pointer, otherwise=lambda _number: stand())
        give = bare("pthread_spin_unlock", line.pointer, otherwise=_refused(what))
        self.acquire, self.release, self.abandon = owning(enter, give, what)
        self.quick = Quick(take, Busy, stand, give, (), lambda error: error)
        self.taking, self.giving = touch.of_lock(what, lambda: pthreads.spinlock_free(line.words))
        self._line = line
        self._calls = (attempt, take, enter, give)

    @property
    def reading(self) -> Lock:
        """Itself: a spinlock knows no readers."""
        return self

    def close(self) -> None:
        """Detach the memory; later calls are refused."""
        forbid(*self._calls)
        self._line.close()


def _standing(attempt: Bare, wait: Wait, what: str) -> Callable[[], None]:
    def stand() -> None:
        with wait.standing(what) as deadline:
            while True:
                for _ in range(TRIES):
                    if attempt() is None:
                        return
                deadline.tick()
                os.sched_yield()

    return stand


def _busy(_number: int) -> None:
    raise Busy


def _refused(what: str) -> Callable[[int], None]:
    def refused(number: int) -> None:
        raise KernelObjectError(f"{what}: {os.strerror(number)}")

    return refused
