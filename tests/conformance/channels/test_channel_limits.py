"""What fits in every kind of channel, and who comes first."""

from __future__ import annotations

import pytest

from common.errors import KernelObjectError
from common.kernel.waits import Wait
from tests.conformance.channels.cases import (
    CASES,
    LONG,
    PRIORITIES,
    SHORT,
    SIZE,
    WHAT,
    Build,
    Case,
    Made,
    Start,
    drain,
    every,
    message,
    receive_one,
    send_many,
)

# Where nothing limits a message, one of this size has to do.
BIG = 1 << 20
# Far more than any of the lossy kinds keeps.
BURST = 2000


@pytest.mark.parametrize("case", [c for c in CASES if c.facts.boundaries], ids=str)
def test_the_largest_message_passes_and_one_byte_more_is_refused(
    case: Case, build: Build, start: Start
) -> None:
    """``check`` draws the line where the kernel does, and says where it is."""
    fits, too_big = SIZE, BIG
    if case.fits(BIG):
        fits = BIG
    else:
        while too_big - fits > 1:
            middle = (fits + too_big) // 2
            fits, too_big = (middle, too_big) if case.fits(middle) else (fits, middle)
        why = case.module.check(case.module.Options(**case.options), too_big)
        assert str(too_big) in why
    made = build(case, size=fits)
    receiver = made.open("receive", Wait(LONG))
    sending = start(send_many(made, 1))
    assert receiver.receive() == message(0, size=fits)
    assert sending.result() is None


@every()
def test_a_message_too_big_is_refused_at_send(made: Made) -> None:
    """It never enters the channel, where it would stand in the way of those that fit."""
    sender, receiver = made.ends(Wait(SHORT))
    with pytest.raises(KernelObjectError, match=WHAT):
        sender.send(message(0) + b"!")
    sender.send(message(1))
    assert receiver.receive() == message(1)


@every(lambda facts: not facts.bounded)
def test_what_does_not_fit_is_openly_lost(made: Made) -> None:
    """No sender waits or is told; what is received is the first of what was sent, and whole."""
    wait = Wait(SHORT)
    sender, receiver = made.ends(wait)
    sent = [message(number) for number in range(BURST)]
    for one in sent:
        sender.send(one)
    made.finish(wait)
    taken = drain(receiver)
    assert 0 < len(taken) < len(sent)
    assert taken == sent[: len(taken)]


@pytest.mark.parametrize("case", PRIORITIES, ids=str)
def test_the_most_urgent_leaves_first(case: Case, build: Build) -> None:
    """Higher priorities overtake lower ones; equals keep their order; out of range is nearest."""
    sender, receiver = build(case, priorities=3).ends(Wait(LONG))
    for number, priority in enumerate([0, -1, 1, 2, 0, 99, 1]):
        sender.send(message(number), priority)
    order = [3, 5, 2, 6, 0, 1, 4]
    assert [receiver.receive() for _ in order] == [message(number) for number in order]


@pytest.mark.parametrize("case", PRIORITIES, ids=str)
def test_a_waiting_receiver_takes_any_priority(case: Case, build: Build, start: Start) -> None:
    """The one that wakes it need not be of the most urgent level."""
    made = build(case, priorities=3)
    for priority in range(3):
        receiving = start(receive_one(made), telling=True)
        receiving.until_waiting()
        made.open("send", Wait(LONG)).send(message(priority), priority)
        assert receiving.result() == message(priority).decode()


@every()
def test_without_levels_a_priority_changes_nothing(made: Made) -> None:
    """A kind without priorities, or with one, ignores what the sender asks for."""
    sender, receiver = made.ends(Wait(LONG))
    for priority in (0, 5):
        sender.send(message(priority), priority)
        assert receiver.receive() == message(priority)
