"""A pthread read-write lock in shared memory: many readers at once, or one writer.

Who only reads takes ``reading``. A killed holder keeps it for ever; of a writer it is known who has
it, of readers only how many. It has no name; removal of its segment is not noticed by those who
have it attached.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.errors import KernelObjectError
from common.kernel import touch
from common.kernel.libc import pthreads
from common.kernel.libc.bare import Bare, Busy, Timed, bare, forbid
from common.kernel.locks import HELD, Address, Facts, Quick, _line
from common.kernel.locks._owning import owning
from common.kernel.waits import Wait
from common.options import option

if TYPE_CHECKING:
    from common.kernel.objects import Maker

READERS, WRITERS = "readers", "writers"

# Whether one process at a time is inside, and whether a waiter is told of the object's removal.
EXCLUDES = True
TELLS_REMOVAL = False

# What tells who has it.
ASKED_BY = "its writer word"

# The objects of a limited number that one lock, or all of one ``make_rows``, make.
OBJECTS = _line.OBJECTS


@dataclass(frozen=True)
class Options:
    """Who goes first."""

    prefer: str = option(
        READERS,
        about="who goes in while readers are inside and a writer waits: other readers, or nobody "
        "before the writer (PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP)",
        choices=(READERS, WRITERS),
    )


def facts(options: Options) -> Facts:
    """Return how it behaves (pthread_rwlock_rdlock(3p), pthread_rwlockattr_setkind_np(3))."""
    first = {
        READERS: "readers overtake a writer that waits, which may starve",
        WRITERS: "a writer that waits goes before later readers, but as it asks anew (each 0.1 s)",
    }
    return Facts(
        holder_dies=HELD,
        counts=False,
        inherited=False,
        waiting="sleeps in futex(2), by pthread_rwlock_clockwrlock and pthread_rwlock_clockrdlock",
        order=f"not promised among writers; {first[options.prefer]}",
        limits="room in shared memory; some 500 million readers",
        persists="as long as the memory that it lies in",
        named="no name: its address in shared memory (pthread_rwlock_t *)",
    )


def make(options: Options, maker: Maker) -> dict[str, Any]:
    """Make one free lock."""
    return make_rows(options, 1, maker)[0]


def make_rows(options: Options, count: int, maker: Maker) -> list[dict[str, Any]]:
    """Make free locks in one segment."""
    writers = options.prefer == WRITERS

    def free(address: int) -> None:
        pthreads.init_rwlock(address, prefer_writers=writers)

    return [place | {"writers": writers} for place in _line.make_rows(count, maker, free)]


def attach(address: Address, wait: Wait, what: str) -> WriteLock:
    """Open the lock; raises ``ObjectVanished`` and ``NotPermitted``."""
    return WriteLock(_line.Line(address, what), wait, what, address["writers"])


def reset(address: Address) -> None:
    """Make the lock anew: nobody may be using it."""
    with _line.line(address) as line:
        pthreads.init_rwlock(line.address, prefer_writers=address["writers"])


def holder(address: Address) -> int | None:
    """Return the process that has it for writing; who reads nobody can tell."""
    return _line.look(address, lambda line: pthreads.writer(line.words)) or None


def value(address: Address) -> int | None:
    """Return 1 when a writer could go in, 0 when it is held; None when it is gone."""
    return _line.look(address, lambda line: int(pthreads.may_write(line.words)))


class _Side:
    """One way to hold the lock of one process: ``rd`` or ``wr``."""

    def __init__(
        self, side: str, line: _line.Line, wait: Wait, what: str, free: Callable[[], bool]
    ) -> None:
        block = Timed(f"pthread_rwlock_clock{side}lock", line.pointer)

        def stand() -> None:
            with wait.standing(what) as deadline:
                while (number := block(deadline.tick())) == errno.ETIMEDOUT:
                    pass
            if number:
                refused(number)

        def busy(number: int) -> None:
            if number == errno.EBUSY:
                raise Busy
            refused(number)

        def enter(number: int) -> None:
            if number == errno.EBUSY:
                stand()
            else:
                refused(number)

        def refused(number: int) -> None:
            said = os.strerror(number)
            if number == errno.EDEADLK:
                said = "this process holds it already, for writing (EDEADLK)"
            raise KernelObjectError(f"{what}: {said}")

        def calls(otherwise: Callable[[int], None]) -> Bare:
            return bare(f"pthread_rwlock_try{side}lock", line.pointer, otherwise=otherwise)

        take, wait_for = calls(busy), calls(enter)
        give = bare("pthread_rwlock_unlock", line.pointer, otherwise=refused)
        self.acquire, self.release, self.abandon = owning(wait_for, give, what)
        self.quick = Quick(take, Busy, stand, give, (), lambda error: error)
        self.taking, self.giving = touch.of_lock(what, free)
        self.calls = (block, take, wait_for, give)


class ReadLock(_Side):
    """The lock as readers hold it: together with other readers. It is closed with its whole."""

    def __init__(self, line: _line.Line, wait: Wait, what: str, writers: bool) -> None:
        super().__init__(
            "rd", line, wait, what, lambda: pthreads.may_read(line.words, prefer_writers=writers)
        )

    @property
    def reading(self) -> ReadLock:
        """Itself."""
        return self

    def close(self) -> None:
        """Do nothing: the memory is that of the whole lock."""


class WriteLock(_Side):
    """The lock of one process as a writer holds it, alone; ``reading`` is the other side of it."""

    def __init__(self, line: _line.Line, wait: Wait, what: str, writers: bool) -> None:
        super().__init__("wr", line, wait, what, lambda: pthreads.may_write(line.words))
        self._line = line
        self._reading = ReadLock(line, wait, what, writers)
        forget = self.abandon

        def abandon() -> None:
            forget()
            self._reading.abandon()

        self.abandon = abandon

    @property
    def reading(self) -> ReadLock:
        """The same lock, as readers hold it."""
        return self._reading

    def close(self) -> None:
        """Detach the memory; later calls are refused."""
        forbid(*self.calls, *self._reading.calls)
        self._line.close()
