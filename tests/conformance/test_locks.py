"""Every lock through one contract: a new kind is one file, and is tested by being there."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from functools import partial

import pytest

from common import kinds
from common.errors import ObjectVanished
from common.kernel.objects import Maker
from common.kernel.waits import Wait
from tests.conformance.lock_cases import (
    ALL,
    DONE,
    EXCLUDING,
    EXPIRED,
    REFUSED,
    SHORT,
    SIGNALLED,
    VANISHED,
    WAITED,
    WAITS,
    Opener,
    Start,
    each,
    freed_by_removal,
    shared_integers,
    shut,
)
from tests.conftest import Fork, limited


@each(ALL)
def test_a_lock_makes_what_it_is_counted_for(opener: Opener, maker: Maker) -> None:
    """The machine is asked for just these before the run."""
    assert limited(maker) == opener.case.module.OBJECTS


@each(ALL)
def test_a_lock_that_is_held_keeps_everybody_else_out_and_only_none_does_not(
    opener: Opener, start: Start
) -> None:
    """Another process's deadline passes; the exemption is the module's own word."""
    holder = start(opener)
    assert holder.acquire() == DONE
    assert shut(start, opener) is opener.case.module.EXCLUDES
    assert holder.release() == DONE
    assert not shut(start, opener)


@each(ALL)
def test_a_lock_tells_what_it_stands_at(opener: Opener, start: Start) -> None:
    """1 when it is free and 0 when it is held, or never anything."""
    value, holder = opener.case.module.value, start(opener)
    tells = value(opener.address) is not None
    assert value(opener.address) == (1 if tells else None)
    assert holder.acquire() == DONE
    assert value(opener.address) == (0 if tells else None)
    assert holder.release() == DONE
    assert value(opener.address) == (1 if tells else None)


@each(ALL)
def test_a_lock_tells_nobody_but_its_holder(opener: Opener, start: Start) -> None:
    """The process that has it, where the kernel tells who has it, and nobody once it is free."""
    found, holder = opener.case.module.holder, start(opener)
    assert found(opener.address) is None
    assert holder.acquire() == DONE
    assert found(opener.address) in (None, holder.pid)
    assert holder.release() == DONE
    assert found(opener.address) is None


@pytest.mark.parametrize("kind", kinds.names(kinds.LOCKS))
def test_a_lock_that_is_gone_stands_at_nothing(kind: str, maker: Maker) -> None:
    """Whoever asks afterwards learns that there is nothing, and no error comes of it."""
    module = kinds.load(kinds.LOCKS, kind)
    address = module.make(module.Options(), maker)
    maker.remove_all()
    assert module.value(address) == (1 if freed_by_removal(module) else None)
    assert module.holder(address) is None


@each(EXCLUDING)
def test_never_two_processes_are_inside(opener: Opener, fork: Fork, wait: Wait) -> None:
    """Each process marks its own cell inside, gives the processor away, and looks at the others."""
    workers, rounds = 4, 150
    inside, total = shared_integers(workers), shared_integers(1)

    def work(me: int) -> None:
        lock = opener(wait)
        for _ in range(rounds):
            lock.acquire()
            inside[me] = 1
            before = total[0]
            os.sched_yield()
            assert sum(inside) == 1
            total[0] = before + 1
            inside[me] = 0
            lock.release()

    children = [fork(partial(work, me)) for me in range(workers)]
    assert [child.ended() for child in children] == [0] * workers
    assert total[0] == workers * rounds


@each(EXCLUDING)
def test_the_bare_calls_let_one_process_in_as_well(opener: Opener, fork: Fork, wait: Wait) -> None:
    """The loop that is measured counts as exactly as the one that is not, and loses no wake-up."""
    workers, rounds = 4, 300
    total = shared_integers(1)

    def work() -> None:
        take, busy, stand, give, _, _ = opener(wait).quick
        assert take is not None
        assert give is not None
        for turn in range(rounds):
            try:
                take()
            except busy:
                stand()
            before = total[0]
            if turn % 10 == 0:
                os.sched_yield()
            total[0] = before + 1
            give()

    children = [fork(work) for _ in range(workers)]
    assert [child.ended() for child in children] == [0] * workers
    assert total[0] == workers * rounds


@each(EXCLUDING)
def test_the_deadline_of_a_wait_is_kept_and_names_the_lock(opener: Opener, start: Start) -> None:
    """The process compares its error's words itself; the next wait ends in the same way."""
    assert start(opener).acquire() == DONE
    late = start(opener, SHORT)
    assert [late.acquire(), late.acquire()] == [EXPIRED, EXPIRED]


@each(EXCLUDING)
def test_a_process_says_what_it_waits_for_only_while_it_waits(opener: Opener, start: Start) -> None:
    """A free lock publishes nothing; a held one its name, and "" when the wait is over."""
    holder, late = start(opener), start(opener, SHORT)
    holder.begin("a")
    assert holder.hear() == DONE
    late.begin("a")
    assert [late.hear() for _ in range(3)] == [WAITS, WAITED, EXPIRED]


@pytest.mark.usefixtures("patient")
@each(EXCLUDING)
def test_a_release_wakes_the_one_who_waits(opener: Opener, start: Start) -> None:
    """The waiter was seen to block, and has the lock after the release; no tick ends its wait."""
    holder, waiter = start(opener), start(opener)
    assert holder.acquire() == DONE
    waiter.wait_to_acquire()
    assert holder.release() == DONE
    assert waiter.result() == DONE
    assert shut(start, opener)
    assert waiter.release() == DONE
    assert not shut(start, opener)


@each(EXCLUDING)
def test_signals_during_a_wait_neither_lose_nor_double_the_acquisition(
    opener: Opener, start: Start
) -> None:
    """Each signal is handled while the lock is held elsewhere; then it is acquired exactly once."""
    holder, waiter = start(opener), start(opener)
    assert holder.acquire() == DONE
    assert waiter.do("s") == DONE
    waiter.wait_to_acquire()
    for _ in range(8):
        waiter.kill(signal.SIGUSR1)
        assert waiter.hear() == SIGNALLED
    assert holder.release() == DONE
    assert waiter.result() == DONE
    assert shut(start, opener)
    assert waiter.release() == DONE
    assert not shut(start, opener)


@each(EXCLUDING)
def test_what_was_not_acquired_cannot_be_released(opener: Opener, start: Start) -> None:
    """Refused before any acquisition, after a release, and after a wait in vain."""
    holder, late = start(opener), start(opener, SHORT)
    assert holder.release() == REFUSED
    assert [holder.acquire(), holder.release(), holder.release()] == [DONE, DONE, REFUSED]
    assert holder.acquire() == DONE
    assert [late.acquire(), late.release()] == [EXPIRED, REFUSED]
    assert shut(start, opener)


@each(EXCLUDING)
def test_removal_from_outside_is_told_where_the_kernel_tells(
    opener: Opener, maker: Maker, start: Start
) -> None:
    """A waiter gets ObjectVanished, or the lock as ever; who comes later finds none.

    Where the object's absence is the free lock, the waiter goes in beside its holder, who is told
    when it gives back what it has no more.
    """
    holder, waiter = start(opener), start(opener)
    assert holder.acquire() == DONE
    waiter.wait_to_acquire()
    maker.remove_all()
    if freed_by_removal(opener.case.module):
        assert waiter.result() == DONE
        assert holder.release() == VANISHED
        assert shut(start, opener)
        assert waiter.release() == DONE
        assert not shut(start, opener)
        return
    if opener.case.module.TELLS_REMOVAL:
        assert waiter.result() == VANISHED
        assert [holder.release(), holder.acquire()] == [VANISHED, VANISHED]
    else:
        assert holder.release() == DONE
        assert waiter.result() == DONE
        assert waiter.release() == DONE
    with pytest.raises(ObjectVanished, match="the till"):
        opener(Wait(SHORT))


@each(ALL)
def test_a_hundred_processes_use_one_lock(
    opener: Opener, fork: Fork, wait: Wait, start: Start
) -> None:
    """Each acquires and releases a few times and ends well; the lock is free afterwards."""
    rounds, total = 5, shared_integers(1)

    def work() -> None:
        lock = opener(wait)
        for _ in range(rounds):
            lock.acquire()
            total[0] += 1
            lock.release()
        lock.close()

    children = [fork(work) for _ in range(100)]
    assert [child.ended() for child in children] == [0] * 100
    if opener.case.module.EXCLUDES:
        assert total[0] == 100 * rounds
    assert not shut(start, opener)


@each(ALL)
def test_nothing_is_left_behind(opener: Opener, maker: Maker, start: Start) -> None:
    """Held when it was removed, it is nowhere to be found once its processes have ended."""
    holder = start(opener)
    assert holder.acquire() == DONE
    maker.remove_all()
    holder.end()
    assert maker.objects() == []
    assert maker.leaks() == []


@each(ALL)
def test_a_closed_lock_is_an_error_or_the_lock_but_no_crash(
    opener: Opener, fork: Fork, wait: Wait
) -> None:
    """Its memory may be gone: whoever uses it all the same is not killed by it."""

    def work() -> None:
        lock = opener(wait)
        calls: list[Callable[[], object]] = [lock.acquire, lock.release, lock.abandon]
        calls += [call for call in (lock.quick.take, lock.quick.give) if call is not None]
        calls += [lock.reading.acquire, lock.reading.release]
        ready = lock.taking.ready if lock.taking is not None else None
        calls += [ready] if ready is not None else []
        calls += [lock.quick.stand]
        lock.close()
        for call in calls:
            # Whatever it is: no signal.
            with contextlib.suppress(Exception):
                call()

    assert fork(work).ended() == 0
