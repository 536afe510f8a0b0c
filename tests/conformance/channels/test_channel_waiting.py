"""Every kind of channel waits as it should: to its deadline, woken by the kernel."""

from __future__ import annotations

import signal
import time

import pytest

from common.errors import WaitExpired
from common.kernel import waits
from common.kernel.channels import Channel
from common.kernel.waits import Wait
from tests.conformance.channels.cases import (
    LAST,
    LONG,
    NEVER,
    SHORT,
    WHAT,
    Made,
    Start,
    drain,
    every,
    fill,
    message,
    receive_one,
    send_until_it_waited,
    whole,
)


@every(whole)
def test_a_full_channel_keeps_the_deadline(made: Made) -> None:
    """A send that finds no room fails by its name, and what was sent before is all there."""
    wait = Wait(SHORT)
    sender, receiver = made.ends(wait)
    sent: list[bytes] = []
    stamps = [time.monotonic()]

    def send_on() -> None:
        while True:
            sender.send(message(len(sent)))
            sent.append(message(len(sent)))
            stamps.append(time.monotonic())

    with pytest.raises(WaitExpired, match=WHAT):
        send_on()
    assert time.monotonic() - stamps[-1] >= SHORT
    made.finish(wait)
    assert drain(receiver) == sent


@every()
def test_an_empty_channel_keeps_the_deadline(made: Made) -> None:
    """A receive that finds nothing fails by its name, and the next one works."""
    sender, receiver = made.ends(Wait(SHORT))
    before = time.monotonic()
    with pytest.raises(WaitExpired, match=WHAT):
        receiver.receive()
    assert time.monotonic() - before >= SHORT
    sender.send(message(1))
    assert receiver.receive() == message(1)


@pytest.mark.usefixtures("patient")
@every()
def test_a_send_wakes_a_waiting_receiver(made: Made, start: Start) -> None:
    """The kernel wakes it: no tick and no deadline is near."""
    receiving = start(receive_one(made), seconds=NEVER, telling=True)
    assert WHAT in receiving.until_waiting()
    made.open("send", Wait(LONG)).send(message(7))
    assert receiving.result() == message(7).decode()


@pytest.mark.usefixtures("patient")
@every(whole)
def test_a_receive_wakes_a_waiting_sender(made: Made, start: Start) -> None:
    """The kernel wakes it once there is room: no tick and no deadline is near."""
    receiver = made.open("receive", Wait(LONG))
    sending = start(send_until_it_waited(made), seconds=NEVER, telling=True)
    assert WHAT in sending.until_waiting()
    taken = list(iter(receiver.receive, message(LAST)))
    assert taken == [message(number) for number in range(sending.result())]


@every()
def test_signals_neither_lose_nor_double_what_is_received(made: Made, start: Start) -> None:
    """A receiver that is interrupted in each of its waits gets every message once."""

    def work(wait: Wait) -> list[str]:
        receiver = made.open("receive", wait)
        return [(receiver.receive() or b"").decode() for _ in range(20)]

    receiving = start(work, telling=True)
    sender: Channel | None = None
    for number in range(20):
        receiving.until_waiting()
        receiving.signal(signal.SIGUSR2)
        sender = sender or made.open("send", Wait(LONG))
        sender.send(message(number))
        receiving.signal(signal.SIGUSR2)
    assert receiving.result() == [message(number).decode() for number in range(20)]


@every(whole)
def test_signals_neither_lose_nor_double_what_is_sent(made: Made, start: Start) -> None:
    """A waiting sender that is interrupted, and told to finish, still sends what it began."""
    receiver = made.open("receive", Wait(LONG))
    sending = start(send_until_it_waited(made), telling=True)
    sending.until_waiting()
    for number in (signal.SIGUSR2, signal.SIGTERM, signal.SIGUSR2):
        sending.signal(number)
    taken = list(iter(receiver.receive, message(LAST)))
    assert taken == [message(number) for number in range(sending.result())]


@every(whole)
def test_finishing_drains_the_channel_first(made: Made) -> None:
    """A receiver that is told to finish gets all there is, then None, again and again."""
    wait = Wait(SHORT)
    sender, receiver = made.ends(wait)
    sent = fill(sender)
    made.finish(wait)
    assert drain(receiver) == sent
    assert receiver.receive() is None


@every()
def test_a_waiting_receiver_hears_that_it_should_finish(made: Made, start: Start) -> None:
    """SIGTERM in the middle of a wait on an empty channel ends it with None."""
    receiving = start(receive_one(made), telling=True)
    receiving.until_waiting()
    receiving.signal(signal.SIGTERM)
    assert receiving.result() is None


@every()
def test_an_idle_receiver_leaves_the_processor_alone(made: Made, start: Start) -> None:
    """Several ticks of waiting cost a small part of the time waited, after a sender left too."""

    def work(wait: Wait) -> float:
        receiver = made.open("receive", wait)
        sender = made.module.attach(made.address, "send", wait, WHAT)
        sender.send(message(0))
        assert receiver.receive() == message(0)
        sender.close()
        before = time.process_time()
        with pytest.raises(WaitExpired):
            receiver.receive()
        return time.process_time() - before

    assert start(work, seconds=6 * waits.TICK).result() < 2 * waits.TICK
