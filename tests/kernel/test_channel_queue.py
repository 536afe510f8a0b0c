"""What only the System V queue does: types, capacity, and waits without a timeout of its own."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import sysv_ipc

from common.errors import KernelObjectError, WaitExpired
from common.kernel.channels import sysv_queue
from common.kernel.objects import Maker
from common.kernel.waits import Wait

SIZE = 64
WHAT = "channel orders"
LOCK = {"kind": "none", "at": {}}
SHORT = 0.2


def build(
    maker: Maker, options: sysv_queue.Options | None = None
) -> tuple[sysv_queue.Queue, sysv_ipc.MessageQueue]:
    """Return a handle of a new queue, and the package's own of the same queue."""
    address = sysv_queue.make(options or sysv_queue.Options(), SIZE, LOCK, maker)
    foreign = sysv_ipc.MessageQueue(address["key"], max_message_size=8192)
    return sysv_queue.attach(address, "send", Wait(SHORT), WHAT), foreign


def test_the_most_urgent_has_the_lowest_type(maker: Maker) -> None:
    """As the lecture has it; a program that takes type -3 gets them in our order."""
    queue, foreign = build(maker, sysv_queue.Options(priorities=3))
    for priority in range(3):
        queue.send(bytes(SIZE), priority)
    assert [foreign.receive(False)[1] for _ in range(3)] == [3, 2, 1]


def test_without_priorities_every_type_is_one(maker: Maker) -> None:
    """The lecture's receiver asks for type 1."""
    queue, foreign = build(maker)
    queue.send(b"Did you get this?", 4)
    assert foreign.receive(False, type=1) == (b"Did you get this?", 1)


def test_capacity_is_what_the_queue_holds(maker: Maker) -> None:
    """Two messages of 64 bytes fill 150 bytes, and the third finds no room."""
    queue, _ = build(maker, sysv_queue.Options(capacity=150))
    queue.send(bytes(SIZE))
    queue.send(bytes(SIZE))
    with pytest.raises(WaitExpired, match=f"room in {WHAT}"):
        queue.send(bytes(SIZE))


def test_what_can_never_fit_is_refused_beforehand() -> None:
    """Over kernel.msgmax, over the capacity, or a capacity over kernel.msgmnb."""
    largest = int(Path("/proc/sys/kernel/msgmax").read_text())
    whole = int(Path("/proc/sys/kernel/msgmnb").read_text())
    options = sysv_queue.Options
    assert sysv_queue.check(options(), largest) == ""
    assert "msgmax" in sysv_queue.check(options(), largest + 1)
    assert sysv_queue.check(options(capacity=100), 100) == ""
    assert "queue of 100 bytes" in sysv_queue.check(options(capacity=100), 101)
    assert "msgmnb" in sysv_queue.check(options(capacity=whole + 1), SIZE)


def test_a_foreign_message_that_is_too_big_is_named(maker: Maker) -> None:
    """It stays and blocks the queue (E2BIG): the error says so instead of waiting for ever."""
    queue, foreign = build(maker)
    foreign.send(bytes(SIZE + 1))
    with pytest.raises(KernelObjectError, match="more than 64 bytes stands in the queue"):
        queue.receive()
    assert foreign.current_messages == 1


@pytest.fixture
def own_alarm() -> Iterator[object]:
    """A handler and a timer that the process had before, far in the future."""

    def handler(_number: int, _frame: object) -> None: ...

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 1000.0, 500.0)
    yield handler
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_a_wait_gives_alarm_and_timer_back(maker: Maker, own_alarm: object) -> None:
    """The ticks of a wait end with it."""
    queue, _ = build(maker)
    with pytest.raises(WaitExpired):
        queue.receive()
    assert signal.getsignal(signal.SIGALRM) is own_alarm
    left, interval = signal.getitimer(signal.ITIMER_REAL)
    assert interval == 500.0
    assert left > 500.0
