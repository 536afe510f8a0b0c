"""What the processes of a lock do: take it and give it, and add to a number that it guards.

The same loops for the lab's handles and for Python's own means, each written as its users do.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from benchmarks.alternatives import locks as instead
from benchmarks.grid import stations
from common.kernel import libc
from common.kernel.libc import semaphores, sysv_calls
from common.kernel.locks import Lock
from common.kernel.objects import Maker

# The tasks: the bare calls, as a trader uses them; those that everybody uses; one addition each
# time; and additions together with others, until the number has reached what was asked for.
TAKE, ACQUIRE = "take and give", "acquire and release"
UPDATE, SHARE = "locked update", "throughput"

# Does so many operations; or adds until the number is so great, and returns how often it did.
Loop = Callable[[int], None]
Race = Callable[[int], int]

# So many parts of a turn are timed by themselves.
PARTS = 32

# Seconds that a process waits for the others to be ready.
_PATIENCE = 10.0


class Number(Protocol):
    """What the lock guards."""

    value: float


class Cell:
    """A cell of a table, for the launcher to look at."""

    def __init__(self, cells: memoryview[float]) -> None:
        self._cells = cells

    @property
    def value(self) -> float:
        """What it holds."""
        return self._cells[0]

    @value.setter
    def value(self, value: float) -> None:
        self._cells[0] = value


class Gate:
    """Where so many processes wait until all are there (semop(2): wait for zero)."""

    def __init__(self, maker: Maker) -> None:
        self._id = semaphores.set_id(maker.sysv_sem(0))

    def shut(self, processes: int) -> None:
        """Shut it for so many; nobody may be waiting."""
        sysv_calls.semctl(self._id, 0, sysv_calls.SETVAL, processes)

    def go_through(self) -> None:
        """Come, and wait for the others. Raises ``TimeoutError``."""
        arrived = libc.semtimedop(self._id, [(0, -1, 0)], _PATIENCE)
        if not arrived or not libc.semtimedop(self._id, [(0, 0, 0)], _PATIENCE):
            raise TimeoutError("the others were not ready")


def task(loop: Loop) -> stations.Task:
    """Return ``loop`` as a process of a crew does it; its figure is the seconds of an operation.

    That is the median of ``PARTS`` parts: who is held up in one of them is not in the others.
    """

    def do(count: int) -> stations.Turn:
        part, left = divmod(count, PARTS)
        sizes = [part + (number < left) for number in range(min(PARTS, count))]
        times = [time.monotonic()]
        for size in sizes:
            loop(size)
            times.append(time.monotonic())
        each = [
            (end - begin) / size
            for size, (begin, end) in zip(sizes, itertools.pairwise(times), strict=True)
        ]
        return stations.Turn(times[0], times[-1], statistics.median(each))

    return do


def race(loop: Race, gate: Gate) -> stations.Task:
    """Return ``loop`` as one of several processes does it; its figure is how much this one did."""

    def do(count: int) -> stations.Turn:
        gate.go_through()
        begun = time.monotonic()
        done = loop(count)
        return stations.Turn(begun, time.monotonic(), done)

    return do


def of_lab(lock: Lock, cells: memoryview[float], gate: Gate) -> dict[str, stations.Task]:
    """Return the tasks of one of the lab's locks, beside a cell of one of its tables."""
    take, busy, stand, give, *_ = lock.quick
    assert take is not None
    assert give is not None
    return {
        TAKE: task(partial(_quick, take, busy, stand, give)),
        ACQUIRE: task(partial(_acquire, lock.acquire, lock.release)),
        UPDATE: task(partial(_quick_update, take, busy, stand, give, cells)),
        SHARE: race(partial(_quick_share, take, busy, stand, give, cells), gate),
    }


def of_python(made: instead.Made, cells: memoryview[float], gate: Gate) -> dict[str, stations.Task]:
    """Return the tasks of one of Python's own means; a number with a lock needs no cell."""
    if made.lock is None:
        return {
            UPDATE: task(partial(_number_update, made.number)),
            SHARE: race(partial(_number_share, made.number), gate),
        }
    return {
        TAKE: task(partial(_with, made.lock)),
        ACQUIRE: task(partial(_acquire, made.lock.acquire, made.lock.release)),
        UPDATE: task(partial(_with_update, made.lock, cells)),
        SHARE: race(partial(_with_share, made.lock, cells), gate),
    }


# The loops: what they need is local to them, as it is in a role.

Call = Callable[[], object]
Busy = type[Exception] | tuple[type[Exception], ...]


def _acquire(acquire: Call, release: Call, count: int) -> None:
    for _ in itertools.repeat(None, count):
        acquire()
        release()


def _quick(take: Call, busy: Busy, stand: Call, give: Call, count: int) -> None:
    for _ in itertools.repeat(None, count):
        try:
            take()
        except busy:
            stand()
        give()


def _quick_update(
    take: Call, busy: Busy, stand: Call, give: Call, cells: memoryview[float], count: int
) -> None:
    for _ in itertools.repeat(None, count):
        try:
            take()
        except busy:
            stand()
        cells[0] += 1.0
        give()


def _quick_share(
    take: Call, busy: Busy, stand: Call, give: Call, cells: memoryview[float], target: int
) -> int:
    done = 0
    while True:
        try:
            take()
        except busy:
            stand()
        value = cells[0]
        if value >= target:
            give()
            return done
        cells[0] = value + 1.0
        give()
        done += 1


def _with(lock: instead.Lock, count: int) -> None:
    for _ in itertools.repeat(None, count):
        with lock:
            pass


def _with_update(lock: instead.Lock, cells: memoryview[float], count: int) -> None:
    for _ in itertools.repeat(None, count):
        with lock:
            cells[0] += 1.0


def _with_share(lock: instead.Lock, cells: memoryview[float], target: int) -> int:
    done = 0
    while True:
        with lock:
            value = cells[0]
            if value >= target:
                return done
            cells[0] = value + 1.0
        done += 1


def _number_update(number: Any, count: int) -> None:
    for _ in itertools.repeat(None, count):
        with number.get_lock():
            number.value += 1.0


def _number_share(number: Any, target: int) -> int:
    done = 0
    while True:
        with number.get_lock():
            value = number.value
            if value >= target:
                return done
            number.value = value + 1.0
        done += 1
