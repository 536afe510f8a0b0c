"""Every kind of channel delivers what it promises: whole, once, in order, whoever ends."""

from __future__ import annotations

import signal
from collections import Counter

import pytest

from common import kinds
from common.errors import WaitExpired
from common.kernel.waits import Wait
from tests.conformance.channels.cases import (
    CASES,
    LAST,
    LOCK,
    LONG,
    NEVER,
    SHORT,
    SIZE,
    Build,
    Case,
    Made,
    Start,
    drain,
    every,
    fill,
    given,
    message,
    receive_one,
    receive_until_told,
    send_many,
    send_until_it_waited,
    whole,
)
from tests.conftest import limited

# Larger than any buffer that a kind has by default, where a kind takes such messages.
LARGE = 1 << 19
HUNDRED = 100
# Where a sender that dies in a wait does not keep the others waiting for ever, by the kind's word.
SAFE = [
    case
    for case in CASES
    if whole(case.facts)
    and case.facts.many_senders
    and not getattr(case.module, "WAITERS_MUST_LIVE", False)
]


@every()
def test_a_channel_makes_what_it_is_counted_for(made: Made) -> None:
    """The machine is asked for just these, and for its lock, before the run."""
    lock = kinds.load(kinds.LOCKS, LOCK[0]).OBJECTS
    assert limited(made.maker) == Counter(made.case.counted) + Counter(lock)


@every(whole)
def test_messages_of_one_sender_arrive_whole_and_in_order(made: Made, start: Start) -> None:
    """Far more messages than fit at once leave as they came, byte for byte."""
    receiver = made.open("receive", Wait(LONG))
    sending = start(send_many(made, 2000))
    assert [receiver.receive() for _ in range(2000)] == [message(n) for n in range(2000)]
    assert sending.result() is None


@every()
def test_one_at_a_time_is_delivered_by_any_kind(made: Made) -> None:
    """Whatever is lost when many are under way: a message sent alone is received."""
    sender, receiver = made.ends(Wait(LONG))
    for number in range(50):
        sender.send(message(number))
        assert receiver.receive() == message(number)


@every(lambda facts: not facts.boundaries)
def test_without_boundaries_the_bytes_still_come_in_order(made: Made) -> None:
    """Nothing is lost or turned round; where one message ends is what nobody can tell."""
    wait = Wait(SHORT)
    sender, receiver = made.ends(wait)
    sent = [message(number) for number in range(10)]
    for one in sent:
        sender.send(one)
    made.finish(wait)
    assert b"".join(drain(receiver)) == b"".join(sent)


@every(whole)
def test_nothing_is_lost_or_doubled_among_many(made: Made, start: Start) -> None:
    """Three senders and two receivers, where there may be: each message reaches one, in order."""
    numbers = range(3 if made.facts.many_senders else 1)
    shares = 2 if made.facts.many_receivers else 1
    receivers = [start(receive_until_told(made)) for _ in range(shares)]
    senders = [start(send_many(made, 400, sender)) for sender in numbers]
    assert [sender.result() for sender in senders] == [None for _ in numbers]
    for receiver in receivers:
        receiver.signal(signal.SIGTERM)
    taken = [receiver.result() for receiver in receivers]
    sent = [message(number, sender).decode() for sender in numbers for number in range(400)]
    assert sorted(one for share in taken for one in share) == sorted(sent)
    for share in taken:
        for sender in numbers:
            own = [one for one in share if one.startswith(f"{sender}:")]
            assert own == sorted(own)


@every(lambda facts: whole(facts) and facts.many_senders)
def test_a_hundred_processes_send_to_one_receiver(made: Made, start: Start) -> None:
    """Each message of each of them arrives once, and whole."""
    receiver = made.open("receive", Wait(LONG))
    senders = [start(send_many(made, 3, sender)) for sender in range(HUNDRED)]
    taken = Counter(receiver.receive() for _ in range(3 * HUNDRED))
    assert [sender.result() for sender in senders] == [None] * HUNDRED
    assert taken == Counter(
        message(number, sender) for sender in range(HUNDRED) for number in range(3)
    )


@every(lambda facts: facts.kept and facts.boundaries)
def test_what_an_ended_process_sent_is_kept(made: Made, start: Start) -> None:
    """The sender is gone before anybody receives: its message is there."""
    receiver = made.open("receive", Wait(LONG))
    assert start(send_many(made, 1)).result() is None
    assert receiver.receive() == message(0)


@given([case for case in CASES if whole(case.facts) and case.walkable])
def test_a_process_that_ends_takes_nothing_back(made: Made, start: Start) -> None:
    """What it sent stays, what it took is gone, and the channel holds what it held before."""
    wait = Wait(SHORT)
    sender, receiver = made.ends(wait)
    room = len(fill(sender))
    assert [receiver.receive() for _ in range(room)] == [message(n) for n in range(room)]
    if made.facts.many_senders:
        assert start(send_many(made, 1)).result() is None
    else:
        sender.send(message(0))
    if made.facts.many_receivers:
        assert start(receive_one(made)).result() == message(0).decode()
    else:
        assert receiver.receive() == message(0)
    with pytest.raises(WaitExpired):
        receiver.receive()
    for number in range(room):
        sender.send(message(number))
    made.finish(wait)
    assert drain(receiver) == [message(number) for number in range(room)]


@pytest.mark.parametrize("case", SAFE, ids=str)
def test_a_sender_killed_in_the_middle_leaves_the_others_whole(
    case: Case, build: Build, start: Start
) -> None:
    """It dies while it waits for room, half of its message sent where a message may be cut."""
    size = LARGE if case.fits(LARGE) else SIZE
    made = build(case, size=size)
    receiver = made.open("receive", Wait(LONG))
    dying = start(send_until_it_waited(made), seconds=NEVER, telling=True)
    dying.until_waiting()
    dying.killed()
    other = start(send_until_it_waited(made, sender=1), telling=True)
    other.until_waiting()
    taken = list(iter(receiver.receive, message(LAST, 1, size)))
    assert message(0, 1, size) in taken
    count = other.result()
    assert [one for one in taken if one and one.startswith(b"1:")] == [
        message(number, 1, size) for number in range(count)
    ]
    theirs = [one for one in taken if one and not one.startswith(b"1:")]
    assert theirs == [message(number, 0, size) for number in range(len(theirs))]
