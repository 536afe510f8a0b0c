"""What only the one slot does: the lecture's hand-over with `*`, and how it fails."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from common.errors import KernelObjectError, WaitExpired
from common.kernel.channels import At, Touch, one_slot
from common.kernel.objects import Maker
from common.kernel.tables import sysv_shm
from common.kernel.waits import Wait

SIZE = 40
WHAT = "channel slot"
LOCK = {"kind": "none", "at": {}}
SHORT = 0.2
ALPHABET = b"abcdefghijklmnopqrstuvwxyz"
FIRST = ALPHABET + b"the first's id"
SECOND = ALPHABET.upper() + b"the second's i"


@pytest.fixture
def address(maker: Maker) -> dict[str, Any]:
    return one_slot.make(one_slot.Options(), SIZE, LOCK, maker)


Open = Callable[..., one_slot.Slot]


@pytest.fixture
def open_slot(address: dict[str, Any]) -> Iterator[Open]:
    """Yield a function that opens the slot; all are closed afterwards."""
    handles: list[one_slot.Slot] = []

    def opened(wait: Wait | None = None, at: At | None = None) -> one_slot.Slot:
        handles.append(one_slot.attach(address, "send", wait or Wait(SHORT), WHAT, at))
        return handles[-1]

    yield opened
    for handle in handles:
        handle.close()


def look(address: dict[str, Any], store: bytes = b"") -> bytes:
    """Return the first 27 bytes as the lecture's client sees them, after storing ``store``."""
    memory = sysv_shm.attach(address["memory"])
    memory.bytes[: len(store)] = store
    seen = bytes(memory.bytes[:27])
    memory.close()
    return seen


def test_the_slot_has_the_lectures_layout(address: dict[str, Any], open_slot: Open) -> None:
    """A star says taken, then the letters stand there, then a star is on the first of them."""
    slot = open_slot()
    assert look(address) == b"*" + bytes(26)
    slot.send(FIRST)
    assert look(address) == ALPHABET + b"\0"
    assert slot.receive() == FIRST
    assert look(address) == b"*bcdefghijklmnopqrstuvwxyz\0"


def test_the_window_frames_the_stores_at_the_one_position(open_slot: Open) -> None:
    """Everybody is at position 0: two who are inside at once write over each other."""
    slot = open_slot()
    for use in (lambda: slot.send(FIRST), slot.receive):
        use()
        assert slot.window is not None
        assert (slot.window.read, slot.window.written) == (0, 0)
        assert slot.window.entered < slot.window.left


def test_two_producers_see_one_star(open_slot: Open) -> None:
    """Both were told that the slot is free: the first message is gone."""
    other = open_slot()

    def interrupt(step: str, _touch: Touch | None = None, /) -> None:
        assert step == "write"
        other.send(FIRST)

    slow = open_slot(at=interrupt)
    slow.send(SECOND)
    assert other.receive() == SECOND
    with pytest.raises(WaitExpired, match=f"letters in {WHAT}"):
        other.receive()


def test_two_consumers_see_one_letter(open_slot: Open) -> None:
    """Both take what stands there; the one that comes second finds the star on it."""
    sender = open_slot()
    sender.send(FIRST)
    other = open_slot()
    taken: list[bytes | None] = []
    slow = open_slot(at=lambda _step, _touch=None: taken.append(other.receive()))
    taken.append(slow.receive())
    assert taken == [FIRST, b"*" + FIRST[1:]]


def test_a_consumer_reads_letters_half_written(address: dict[str, Any], open_slot: Open) -> None:
    """The first letter is the sign, so what is written after it can be missed."""
    slot = open_slot()
    slot.send(FIRST)
    slot.receive()
    look(address, store=b"ABC")
    assert slot.receive() == b"ABC" + FIRST[3:]


class Fatal(bytes):
    """A message whose sender is killed when it comes to the fifth letter."""

    def __getitem__(self, which: Any) -> Any:
        if which == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(which)


def test_letters_of_a_dead_sender_are_taken_for_a_message(open_slot: Open, fork: Any) -> None:
    """Killed between two letters: the others take four of its own, and send on."""
    slot = open_slot()
    slot.send(FIRST)
    slot.receive()
    sending = fork(lambda: open_slot().send(Fatal(SECOND)))
    assert sending.ended() == -signal.SIGKILL
    assert slot.receive() == SECOND[:4] + FIRST[4:]
    slot.send(SECOND)
    assert slot.receive() == SECOND
    assert "half written" in one_slot.facts(one_slot.Options()).sender_dies


def test_busy_waiting_keeps_the_deadline(open_slot: Open) -> None:
    """On a slot that nobody empties, and on one that nobody fills."""
    slot = open_slot()
    with pytest.raises(WaitExpired, match=f"letters in {WHAT}"):
        slot.receive()
    slot.send(FIRST)
    with pytest.raises(WaitExpired, match=f"room in {WHAT}, the star"):
        slot.send(SECOND)
    assert slot.receive() == FIRST


def test_finishing_takes_the_last_letters_first(open_slot: Open) -> None:
    """Then a star means that nothing will come any more."""
    wait = Wait(SHORT)
    slot = open_slot(wait)
    slot.send(FIRST)
    wait.finishing = True
    assert slot.receive() == FIRST
    assert slot.receive() is None


def test_a_sender_goes_on_when_the_star_appears(open_slot: Open, fork: Any, signpost: Any) -> None:
    """Two processes, one slot: the second message comes whole after the first was taken."""
    waiting = signpost()
    slot = open_slot(Wait(60.0))
    slot.send(FIRST)

    def work() -> None:
        sender = open_slot(Wait(60.0, lambda what: waiting.show("w") if what else None))
        sender.send(SECOND)

    sending = fork(work)
    waiting.see("w")
    assert slot.receive() == FIRST
    assert sending.ended() == 0
    assert slot.receive() == SECOND


@pytest.mark.parametrize(
    ("message", "complaint"),
    [(b"*" + FIRST[1:], "looks taken"), (FIRST[:-1], "exactly 40"), (FIRST + b"!", "exactly 40")],
)
def test_what_the_slot_cannot_carry_is_refused(
    open_slot: Open, message: bytes, complaint: str
) -> None:
    """A first letter that is the star, or another size; the slot stays free."""
    slot = open_slot()
    with pytest.raises(KernelObjectError, match=complaint):
        slot.send(message)
    slot.send(FIRST)


def test_a_message_without_room_for_the_letters_is_refused() -> None:
    """26 letters is the least."""
    assert one_slot.check(one_slot.Options(), 26) == ""
    assert "26 letters" in one_slot.check(one_slot.Options(), 25)


def test_semaphores_let_one_producer_in_at_a_time(maker: Maker) -> None:
    """The second waits (put = 1) although the star is still there."""
    address = one_slot.make(one_slot.Options(sync="semaphores"), SIZE, LOCK, maker)
    other = one_slot.attach(address, "send", Wait(SHORT), WHAT)

    def interrupt(_step: str, _touch: Touch | None = None, /) -> None:
        with pytest.raises(WaitExpired, match=f"room in {WHAT}, the free slot"):
            other.send(FIRST)

    slow = one_slot.attach(address, "send", Wait(SHORT), WHAT, interrupt)
    slow.send(SECOND)
    assert other.receive() == SECOND
    other.close()
    slow.close()
