"""What only mutexes know: their owner, and that it died."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from common.errors import KernelObjectError
from common.kernel.libc import pthreads
from common.kernel.libc.bare import pointer
from common.kernel.locks import _line, pthread_mutex, robust_mutex
from common.kernel.objects import Maker
from common.kernel.waits import Wait
from tests.conftest import Fork, Signpost

BOTH = pytest.mark.parametrize("module", [pthread_mutex, robust_mutex])
Open = Callable[[Any], Any]


@pytest.fixture
def opened(maker: Maker, wait: Wait) -> Iterator[Open]:
    """Yield a function that makes a mutex and opens it; it is closed afterwards."""
    locks = []

    def begin(module: Any) -> Any:
        locks.append(module.attach(module.make(module.Options(), maker), wait, "the till"))
        return locks[-1]

    yield begin
    for lock in locks:
        lock.abandon()
        lock.close()


@BOTH
def test_who_takes_it_twice_is_told_at_once(module: Any, opened: Open) -> None:
    """Not by a deadline, by either call; and it is held once, not twice."""
    lock = opened(module)
    lock.acquire()
    with pytest.raises(KernelObjectError, match="the till: this process holds it already"):
        lock.acquire()
    with pytest.raises(KernelObjectError, match="holds it already"):
        lock.quick.stand()
    lock.release()
    assert lock.owner() == 0


@BOTH
def test_its_owner_is_a_process(module: Any, maker: Maker, wait: Wait) -> None:
    """The word that the kernel, or the C library, writes the owner's tid into."""
    address = module.make(module.Options(), maker)
    lock = module.attach(address, wait, "the till")
    lock.acquire()
    assert module.holder(address) == os.getpid() == lock.owner()
    lock.release()
    assert module.holder(address) is None
    lock.close()


@BOTH
def test_only_a_robust_one_forgets_a_dead_owner(
    module: Any, maker: Maker, wait: Wait, fork: Fork
) -> None:
    """The other still names it, as one looks for who keeps everybody waiting."""
    address = module.make(module.Options(), maker)
    child = fork(lambda: module.attach(address, wait, "the till").acquire())
    assert child.ended() == 0
    dead = None if module is robust_mutex else child.pid
    assert module.holder(address) == dead
    assert module.value(address) == int(dead is None)


def test_each_dead_owner_is_counted_by_who_gets_the_lock(
    maker: Maker, wait: Wait, fork: Fork
) -> None:
    """Three die in it; the fourth, who waits no longer than anybody, can tell."""
    address = robust_mutex.make(robust_mutex.Options(), maker)
    lock = robust_mutex.attach(address, wait, "the till")
    for count in range(1, 4):
        child = fork(lambda: robust_mutex.attach(address, wait, "the till").acquire())
        assert child.ended() == 0
        lock.acquire()
        lock.release()
        assert lock.recovered == count
    lock.acquire()
    lock.release()
    assert lock.recovered == 3
    lock.close()


def test_closing_a_mutex_that_is_held_does_not_hide_the_death_of_its_owner(
    maker: Maker, wait: Wait, fork: Fork
) -> None:
    """Detached memory would be none that the kernel could mark: it stays until the end."""
    address = robust_mutex.make(robust_mutex.Options(), maker)

    def hold() -> None:
        lock = robust_mutex.attach(address, wait, "the till")
        lock.acquire()
        lock.close()

    assert fork(hold).ended() == 0
    lock = robust_mutex.attach(address, wait, "the till")
    lock.acquire()
    assert lock.recovered == 1
    lock.release()
    lock.close()


def test_a_mutex_that_is_lost_for_good_says_why(maker: Maker, wait: Wait, fork: Fork) -> None:
    """Somebody else's program unlocked it without making it consistent (ENOTRECOVERABLE)."""
    address = robust_mutex.make(robust_mutex.Options(), maker)
    child = fork(lambda: robust_mutex.attach(address, wait, "the till").acquire())
    assert child.ended() == 0
    with _line.line(address) as line:
        careless = pthreads.mutex_calls(line.pointer)
        assert careless.lock() == errno.EOWNERDEAD
        assert careless.unlock() is None
    lock = robust_mutex.attach(address, wait, "the till")
    take = lock.quick.take
    assert take is not None
    for call in (lock.acquire, take, lock.quick.stand):
        with pytest.raises(KernelObjectError, match="lost for good") as caught:
            call()
        assert "pthread_mutex_consistent" in caught.value.hint
    assert robust_mutex.value(address) == 0
    robust_mutex.reset(address)
    assert robust_mutex.value(address) == 1
    lock.acquire()
    lock.release()
    lock.close()


@BOTH
def test_to_abandon_what_somebody_else_holds_does_nothing(
    module: Any, maker: Maker, wait: Wait, fork: Fork, signpost: Callable[[], Signpost]
) -> None:
    """Only the owner lets go."""
    address = module.make(module.Options(), maker)
    told, may = signpost(), signpost()

    def hold() -> None:
        lock = module.attach(address, wait, "the till")
        lock.acquire()
        told.show("h")
        may.see("g")
        lock.release()

    child = fork(hold)
    told.see("h")
    lock = module.attach(address, wait, "the till")
    lock.abandon()
    assert module.holder(address) == child.pid
    may.show("g")
    assert child.ended() == 0
    lock.close()


def test_a_pointer_of_a_closed_line_is_refused(maker: Maker) -> None:
    """C would follow it into memory that is gone."""
    address = robust_mutex.make(robust_mutex.Options(), maker)
    line = _line.Line(address)
    assert type(line.pointer) is type(pointer(line.address))
    line.close()
    with pytest.raises(ValueError, match="closed"):
        _ = line.pointer
    with pytest.raises(ValueError, match="released"):
        _ = line.words[0]
