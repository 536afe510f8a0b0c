"""A robust pthread mutex in shared memory: its next owner is told that the last one died in it.

The kernel walks the list of a dying process's robust mutexes and marks them (EOWNERDEAD); here the
next owner calls pthread_mutex_consistent(3) and goes on, and counts it in ``recovered``. That the
lock is whole does not make the data whole: what the dead one was writing stays half written.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.errors import KernelObjectError
from common.kernel.libc import pthreads
from common.kernel.locks import TOLD, Address, Facts, _line, pthread_mutex
from common.kernel.locks.pthread_mutex import MutexLock
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
    """Return how it behaves (pthread_mutexattr_setrobust(3), get_robust_list(2))."""
    plain = pthread_mutex.facts(pthread_mutex.Options())
    return plain._replace(holder_dies=TOLD)


def make(options: Options, maker: Maker) -> dict[str, Any]:
    """Make one free mutex."""
    return make_rows(options, 1, maker)[0]


def make_rows(options: Options, count: int, maker: Maker) -> list[dict[str, Any]]:
    """Make free mutexes in one segment."""
    return _line.make_rows(count, maker, _free)


def attach(address: Address, wait: Wait, what: str) -> RobustMutexLock:
    """Open the lock; raises ``ObjectVanished`` and ``NotPermitted``."""
    return RobustMutexLock(_line.Line(address, what), wait, what)


def reset(address: Address) -> None:
    """Make the mutex anew: nobody may be using it, or have it in the list of those it holds."""
    with _line.line(address) as line:
        _free(line.address)


def holder(address: Address) -> int | None:
    """Return the process that has it; None also when that one has died."""
    return _line.look(address, lambda line: pthreads.robust_owner(line.words)) or None


def value(address: Address) -> int | None:
    """Return 1 when it is free, or a dead owner's; 0 when it is held, or lost; None: it is gone."""
    return _line.look(
        address,
        lambda line: int(not pthreads.robust_owner(line.words) and not pthreads.lost(line.words)),
    )


def _free(address: int) -> None:
    pthreads.init_mutex(address, robust=True)


class RobustMutexLock(MutexLock):
    """The lock of one process; ``recovered`` counts how often a dead owner's was given to it."""

    def __init__(self, line: _line.Line, wait: Wait, what: str) -> None:
        super().__init__(line, wait, what)
        self.recovered = 0

    def owner(self) -> int:
        """Return which process has it; 0 when it is free, or a dead owner's."""
        return pthreads.robust_owner(self._line.words)

    def close(self) -> None:
        """Detach the memory, unless this process holds it: then it stays until the process ends.

        Its list of mutexes leads through that memory, and the kernel could not mark it as a dead
        owner's.
        """
        if self.owner() != os.getpid():
            super().close()

    def _answered(self, number: int) -> None:
        match number:
            case errno.EOWNERDEAD:
                # It is held already; unlocked like this it could never be held again.
                pthreads.consistent(self._line.pointer)
                self.recovered += 1
            case errno.ENOTRECOVERABLE:
                if self.owner() == os.getpid():
                    # glibc's trylock forgets to give it back: the others would not be told.
                    self._line.words[0] = 0
                raise KernelObjectError(
                    f"{self._what}: it is lost for good (ENOTRECOVERABLE)",
                    "somebody who was told that its owner had died (EOWNERDEAD) unlocked it "
                    "without pthread_mutex_consistent(3)",
                )
            case _:
                super()._answered(number)
