"""Conditions, and the cheap calls that all locks in shared memory are made of."""

from __future__ import annotations

import ctypes
import errno
import mmap
from collections.abc import Callable, Iterator

import pytest

from common.errors import MachineError
from common.kernel.libc import bare, pthreads
from common.kernel.libc.pthreads import LINE
from tests.conftest import PATIENCE, Fork, Signpost

SHORT = 0.1


class Monitor:
    """A mutex, a condition, and a word that they guard, in memory that children share."""

    def __init__(self, memory: mmap.mmap, robust: bool) -> None:
        start = bare.address_of(memoryview(memory))
        pthreads.init_mutex(start, robust=robust)
        pthreads.init_condition(start + LINE)
        mutex, condition = bare.pointer(start), bare.pointer(start + LINE)
        self.calls = pthreads.mutex_calls(mutex)
        self.condition = pthreads.Condition(condition, mutex)
        self.words = memoryview(memory).cast("I")
        self.word = 2 * LINE // 4


@pytest.fixture(params=[False, True], ids=["plain", "robust"])
def monitor(request: pytest.FixtureRequest) -> Iterator[Monitor]:
    memory = mmap.mmap(-1, 4096)
    made = Monitor(memory, request.param)
    yield made
    # A robust mutex that is held stands in this thread's list, which leads through its memory.
    made.calls.unlock()
    made.words.release()
    memory.close()


def test_a_signal_wakes_one_who_waits_in_another_process(
    monitor: Monitor, fork: Fork, signpost: Callable[[], Signpost]
) -> None:
    """It has given the mutex back meanwhile, and has it again when it goes on."""
    told = signpost()

    def consume() -> None:
        assert monitor.calls.lock() is None
        told.show("l")
        while monitor.words[monitor.word] == 0:
            assert monitor.condition.wait(PATIENCE) == 0
        assert monitor.calls.unlock() is None

    child = fork(consume)
    told.see("l")
    # It holds the mutex until it waits: so whoever gets it knows that it does.
    while monitor.calls.lock() is not None:
        pass
    monitor.words[monitor.word] = 1
    monitor.condition.signal()
    assert monitor.calls.unlock() is None
    assert child.ended() == 0
    assert monitor.calls.lock() is None


def test_a_broadcast_wakes_all(
    monitor: Monitor, fork: Fork, signpost: Callable[[], Signpost]
) -> None:
    """Each in its turn, for each takes the mutex again."""
    told = signpost()

    def consume() -> None:
        while monitor.calls.lock() is not None:
            pass
        told.show("l")
        while monitor.words[monitor.word] == 0:
            assert monitor.condition.wait(PATIENCE) == 0
        assert monitor.calls.unlock() is None

    children = [fork(consume) for _ in range(3)]
    for _ in children:
        told.see("l")
    while monitor.calls.lock() is not None:
        pass
    monitor.words[monitor.word] = 1
    monitor.condition.broadcast()
    assert monitor.calls.unlock() is None
    assert [child.ended() for child in children] == [0] * 3


def test_a_wait_in_vain_ends_with_the_mutex_held(monitor: Monitor) -> None:
    """ETIMEDOUT, and what was given back for the wait was taken again."""
    assert monitor.calls.lock() is None
    assert monitor.condition.wait(SHORT) == errno.ETIMEDOUT
    assert monitor.calls.lock() in (errno.EBUSY, errno.EDEADLK)
    assert monitor.calls.unlock() is None


def test_a_call_answers_nothing_or_asks() -> None:
    """0 costs no Python code; anything else is the answer of whoever was asked."""
    asked: list[int] = []

    def ask(number: int) -> int:
        asked.append(number)
        return number

    word = ctypes.c_int()
    pthreads.init_spinlock(ctypes.addressof(word))
    there = bare.pointer(ctypes.addressof(word))
    take = bare.bare("pthread_spin_trylock", there, otherwise=ask)
    assert take() is None
    assert asked == []
    assert take() == errno.EBUSY
    assert asked == [errno.EBUSY]


def test_a_forbidden_call_is_never_made() -> None:
    """Nor is one with more arguments, nor one that blocks; others of the same function are."""
    word = ctypes.c_int()
    pthreads.init_spinlock(ctypes.addressof(word))
    before = word.value
    there = bare.pointer(ctypes.addressof(word))
    take = bare.bare("pthread_spin_trylock", there, otherwise=lambda number: number)
    other = bare.bare("pthread_spin_trylock", there, otherwise=lambda number: number)
    block = bare.Timed("sem_clockwait", there)
    bare.forbid(take, block)
    for call in (take, lambda: block(SHORT)):
        with pytest.raises(ctypes.ArgumentError, match="closed"):
            call()
    assert word.value == before
    assert other() is None


def test_a_function_that_the_library_lacks_is_named() -> None:
    """An old C library, or another one: said by the name of what is missing."""
    with pytest.raises(MachineError, match="no pthread_mutex_telepathy"):
        bare.Timed("pthread_mutex_telepathy")
