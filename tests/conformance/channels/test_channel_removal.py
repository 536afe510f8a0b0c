"""What becomes of every kind of channel that is removed, closed, or set back."""

from __future__ import annotations

import contextlib

import pytest

from common.errors import KernelObjectError, ObjectVanished, WaitExpired
from common.kernel.waits import Wait
from tests.conformance.channels.cases import (
    CASES,
    NEVER,
    SHORT,
    SIZE,
    WHAT,
    Made,
    Start,
    drain,
    every,
    given,
    message,
    receive_one,
    send_until_it_waited,
)

TELLING = [case for case in CASES if case.tells_removal]
# What has no name cannot be taken away from outside.
NAMED = [case for case in CASES if not case.facts.named.startswith("no name")]
SILENT = [case for case in NAMED if not case.tells_removal]
FILLED = [case for case in TELLING if case.facts.bounded]


@every()
def test_a_removed_channel_is_named_to_who_comes_late(made: Made) -> None:
    """Nothing of it is left, and opening it says so."""
    made.maker.remove_all()
    assert made.maker.leaks() == []
    with pytest.raises(ObjectVanished):
        made.open("receive", Wait(SHORT))


@every()
def test_who_comes_late_to_send_is_told_in_time(made: Made) -> None:
    """With the second message at the latest: UDP hears only then that nobody has the port."""
    made.maker.remove_all()

    def use() -> None:
        sender = made.open("send", Wait(SHORT))
        for number in range(2):
            sender.send(message(number))

    with pytest.raises(KernelObjectError):
        use()


@given(TELLING)
def test_removal_ends_the_wait_of_a_receiver(made: Made, start: Start) -> None:
    """Where the kernel tells those who wait on a removed object, they tell who it was."""
    waiting = start(receive_one(made), seconds=NEVER, telling=True)
    waiting.until_waiting()
    made.maker.remove_all()
    error, text = waiting.result()
    assert error == "ObjectVanished"
    assert WHAT in text


@given(FILLED)
def test_removal_ends_the_wait_of_a_sender(made: Made, start: Start) -> None:
    """A sender that waits for room is told as well."""
    made.open("receive", Wait(SHORT))
    waiting = start(send_until_it_waited(made), seconds=NEVER, telling=True)
    waiting.until_waiting()
    made.maker.remove_all()
    told = waiting.result()
    if made.case.kind == "popen" and isinstance(told, int):
        # The command may read once more before it dies: then there was room, and the send is over.
        return
    error, text = told
    assert error == "ObjectVanished"
    assert WHAT in text


@given(TELLING)
def test_using_a_removed_channel_says_so(made: Made) -> None:
    """Not only a wait: the next send or receive as well."""
    sender, receiver = made.ends(Wait(SHORT))
    made.maker.remove_all()
    with pytest.raises(ObjectVanished, match=WHAT):
        sender.send(message(0))
    with pytest.raises(ObjectVanished, match=WHAT):
        receiver.receive()


@given(SILENT)
def test_who_has_it_open_goes_on_where_removal_is_not_told(made: Made) -> None:
    """Only the name is gone: those who use it send and receive as before."""
    sender, receiver = made.ends(Wait(SHORT))
    sender.send(message(0))
    assert receiver.receive() == message(0)
    made.maker.remove_all()
    for number in range(1, 20):
        sender.send(message(number))
        assert receiver.receive() == message(number)


@every(lambda facts: facts.boundaries and facts.kept)
def test_closing_an_end_closes_only_that(made: Made) -> None:
    """What was sent stays, and another sender's messages come as well."""
    wait = Wait(SHORT)
    receiver = made.open("receive", wait)
    for number in range(2):
        sender = made.module.attach(made.address, "send", wait, WHAT)
        sender.send(message(number))
        sender.close()
        assert receiver.receive() == message(number)


@given([case for case in CASES if case.walkable])
def test_set_back_it_is_empty_and_works(made: Made) -> None:
    """Whatever was on its way is gone, what was read ahead too; the next message is the first."""
    wait = Wait(SHORT)
    sender, receiver = made.ends(wait)
    for number in range(3):
        with contextlib.suppress(WaitExpired):  # one may be all that there is room for
            sender.send(message(number))
    assert (receiver.receive() or b"")[:SIZE] == message(0)
    for _ in range(2):
        for end in (sender, receiver):
            end.abandon()
        made.module.reset(made.address)
        for end in (sender, receiver):
            end.restart()
        with pytest.raises(WaitExpired):
            receiver.receive()
        sender.send(message(2))
        assert receiver.receive() == message(2)
        sender.send(message(3))
    made.finish(wait)
    assert drain(receiver) == [message(3)]
