"""What only a spinlock does: whoever waits never sleeps."""

from __future__ import annotations

import os
from collections.abc import Callable

from common.kernel.locks import spinlock
from common.kernel.objects import Maker
from common.kernel.waits import Wait
from common.process import inspect
from tests.conftest import Fork, Signpost


def test_a_waiter_runs_and_does_not_sleep(
    maker: Maker, wait: Wait, fork: Fork, signpost: Callable[[], Signpost]
) -> None:
    """Looked at again and again while it waits, it is always running, or could."""
    address = spinlock.make(spinlock.Options(), maker)
    mine = spinlock.attach(address, wait, "the till")
    mine.acquire()
    told = signpost()

    def stand() -> None:
        publish = lambda what: told.show("w" if what else "d")  # noqa: E731
        spinlock.attach(address, Wait(wait.seconds, publish), "the till").acquire()

    child = fork(stand)
    told.see("w")
    states = set()
    for _ in range(200):
        states.add(inspect.letter(child.pid))
        os.sched_yield()
    assert states == {"R"}
    mine.release()
    told.see("d")
    assert child.ended() == 0
    mine.close()


def test_one_processor_is_enough(maker: Maker, wait: Wait, fork: Fork) -> None:
    """Holder and waiters share one: a waiter gives it away, so that the holder comes to release."""
    address = spinlock.make(spinlock.Options(), maker)
    core = min(os.sched_getaffinity(0))

    def work() -> None:
        os.sched_setaffinity(0, {core})
        lock = spinlock.attach(address, wait, "the till")
        for _ in range(50):
            lock.acquire()
            os.sched_yield()
            lock.release()

    children = [fork(work) for _ in range(3)]
    assert [child.ended() for child in children] == [0] * 3
