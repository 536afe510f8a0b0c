"""What only the ring does: with its mutex it is a buffer, without it two take one slot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from common import kinds
from common.errors import KernelObjectError, WaitExpired
from common.kernel.channels import At, Touch, ring
from common.kernel.objects import Maker
from common.kernel.waits import Wait
from tests.conftest import PATIENCE, Fork

SIZE = 64
WHAT = "channel buffer"
SHORT = 0.2

Open = Callable[..., ring.Ring]


@pytest.fixture
def open_ring(maker: Maker) -> Iterator[Open]:
    """Yield a function that opens one ring again and again; all are closed afterwards."""
    handles: list[ring.Ring] = []
    addresses: dict[str, dict[str, Any]] = {}

    def opened(lock: str, at: At | None = None) -> ring.Ring:
        if lock not in addresses:
            module = kinds.load(kinds.LOCKS, lock)
            guard = {"kind": lock, "at": module.make(module.Options(), maker)}
            addresses[lock] = ring.make(ring.Options(slots=4), SIZE, guard, maker)
        handles.append(ring.attach(addresses[lock], "send", Wait(SHORT), WHAT, at))
        return handles[-1]

    yield opened
    for handle in handles:
        handle.close()


def once(step: str, action: Callable[[], object]) -> At:
    """Return a hook that runs ``action`` the first time that ``step`` is reached."""
    pending = [action]

    def at(reached: str, _touch: Touch | None = None, /) -> None:
        if reached == step and pending:
            pending.pop()()

    return at


def test_two_producers_without_a_mutex_take_one_slot(open_ring: Open) -> None:
    """Both read the position before either wrote it: one message is overwritten, one slot empty."""
    other = open_ring("none")
    slow = open_ring("none", once("read", lambda: other.send(b"b" * SIZE)))
    slow.send(b"a" * SIZE)
    assert slow.window is not None
    assert other.window is not None
    assert (slow.window.read, slow.window.written) == (0, 1)
    assert (other.window.read, other.window.written) == (0, 1)
    assert slow.window.entered < other.window.entered < other.window.left < slow.window.left
    taken = [other.receive(), other.receive()]
    assert taken == [b"a" * SIZE, bytes(SIZE)]


def test_two_consumers_without_a_mutex_take_one_message(open_ring: Open) -> None:
    """Both read one position: one message is taken twice, the other never."""
    sender = open_ring("none")
    sender.send(b"a" * SIZE)
    sender.send(b"b" * SIZE)
    other = open_ring("none")
    doubled: list[bytes | None] = []
    slow = open_ring("none", once("read", lambda: doubled.append(other.receive())))
    doubled.append(slow.receive())
    assert doubled == [b"a" * SIZE] * 2


def test_the_mutex_keeps_the_second_producer_out(open_ring: Open) -> None:
    """It waits for the lock, which is named, until the first has written the position."""
    other = open_ring("sysv_sem")

    def try_to_enter() -> None:
        with pytest.raises(WaitExpired, match=f"the lock of {WHAT}"):
            other.send(b"b" * SIZE)

    slow = open_ring("sysv_sem", once("read", try_to_enter))
    slow.send(b"a" * SIZE)
    assert slow.receive() == b"a" * SIZE


def test_the_steps_are_called_in_order(open_ring: Open) -> None:
    """Room, alone inside, position read, message copied, and the position written."""
    steps: list[str] = []
    handle = open_ring("none", lambda step, _touch=None: steps.append(step))
    handle.send(b"a")
    handle.receive()
    assert steps == ["acquire", "check", "read", "write", "release"] * 2


@pytest.mark.parametrize("undo", [False, True])
def test_with_undo_a_producer_that_ends_takes_its_posts_back(
    undo: bool, maker: Maker, fork: Fork
) -> None:
    """Its messages stand in the ring and nobody is told of them; without undo they are received."""
    guard = {"kind": "none", "at": {}}
    address = ring.make(ring.Options(slots=4, undo=undo), SIZE, guard, maker)

    def produce() -> None:
        producer = ring.attach(address, "send", Wait(PATIENCE), WHAT)
        producer.send(b"a" * SIZE)
        producer.send(b"b" * SIZE)

    assert fork(produce).ended() == 0
    wait = Wait(PATIENCE)
    wait.finishing = True
    consumer = ring.attach(address, "receive", wait, WHAT)
    assert consumer.receive() == (None if undo else b"a" * SIZE)
    consumer.close()


def test_positions_grow_past_the_end_of_the_ring(open_ring: Open) -> None:
    """Slot = position % slots; a window names its position, so that two never look alike."""
    handle = open_ring("none")
    for number in range(11):
        handle.send(b"%d" % number)
        assert handle.window is not None
        assert (handle.window.read, handle.window.written) == (number, number + 1)
        assert handle.receive() == b"%d" % number
        assert (handle.window.read, handle.window.written) == (number, number + 1)


def test_a_message_longer_than_its_slot_is_refused(open_ring: Open) -> None:
    """It would run into the next slot; the refusal takes no slot away."""
    handle = open_ring("none")
    with pytest.raises(KernelObjectError, match=f"up to {SIZE} bytes"):
        handle.send(bytes(SIZE + 1))
    for _ in range(4):
        handle.send(bytes(SIZE))
