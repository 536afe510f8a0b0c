"""What a pair of sockets does, type by type: boundaries, and who is told that nobody is left."""

from __future__ import annotations

import os
import select
from typing import Any

import pytest

from common.errors import KernelObjectError, WaitExpired
from common.kernel.channels import Channel, socketpair
from common.kernel.objects import Maker
from common.kernel.waits import Wait
from tests.conftest import Fork
from tests.kernel.ends import WHAT, in_child

SIZE = 64
LOCK = {"kind": "none", "at": {}}
SHORT = 0.2
NEVER = 1000.0
TYPES = ("seqpacket", "dgram", "stream")


def frame(number: int) -> bytes:
    return b"%063d\n" % number


def send_for_ever(sender: Channel) -> None:
    while True:
        sender.send(frame(0))


def made(maker: Maker, type: str) -> dict[str, Any]:
    return socketpair.make(socketpair.Options(type=type), SIZE, LOCK, maker)


@pytest.mark.parametrize("type", TYPES)
def test_messages_pass_in_order(type: str, maker: Maker, fork: Fork) -> None:
    """More than fit at once, of every type, whole and in order."""
    address = made(maker, type)

    def send_all(end: Channel) -> None:
        for number in range(2000):
            end.send(frame(number))

    sending = fork(in_child(socketpair, address, "send", NEVER, send_all))
    receiver = socketpair.attach(address, "receive", Wait(NEVER), WHAT)
    assert [receiver.receive() for _ in range(2000)] == [frame(n) for n in range(2000)]
    assert sending.ended() == 0
    receiver.close()


@pytest.mark.parametrize("type", ["seqpacket", "dgram"])
def test_packets_keep_their_boundaries(type: str, maker: Maker) -> None:
    """Two writes of half a message are two, not one; a stream would make one of them."""
    address = made(maker, type)
    for part in (b"half", b"half"):
        os.write(address["send"]["fd"], part)
    assert os.read(address["receive"]["fd"], SIZE) == b"half"
    assert os.read(address["receive"]["fd"], SIZE) == b"half"


def test_a_stream_has_no_boundaries(maker: Maker) -> None:
    """Two writes come out as one: frames of one size are needed to tell them apart."""
    address = made(maker, "stream")
    for part in (b"half", b"half"):
        os.write(address["send"]["fd"], part)
    assert os.read(address["receive"]["fd"], SIZE) == b"halfhalf"


def test_a_stream_is_for_one_sender_and_one_receiver() -> None:
    """Nothing promises that the frames of several are not mixed; packets are for any number."""
    stream = socketpair.Options(type="stream")
    assert socketpair.check_ends(stream, False, 1, 1) == ""
    assert "boundaries" in socketpair.check_ends(stream, False, 2, 1)
    assert "boundaries" in socketpair.check_ends(stream, False, 1, 2)
    assert socketpair.check_ends(socketpair.Options(), False, 9, 9) == ""
    assert not socketpair.facts(stream).many_senders
    assert "PIPE_BUF" in socketpair.check(stream, select.PIPE_BUF + 1)


@pytest.mark.parametrize("type", TYPES)
def test_without_a_receiver_a_send_fails_at_once(type: str, maker: Maker, fork: Fork) -> None:
    """EPIPE or ECONNREFUSED, once launcher and receiver have closed their ends."""
    address = made(maker, type)

    def send_until_told(sender: Channel) -> None:
        with pytest.raises(KernelObjectError, match=f"nobody reads {WHAT} any more"):
            send_for_ever(sender)

    reading = fork(in_child(socketpair, address, "receive", NEVER, lambda end: end.receive()))
    sending = fork(in_child(socketpair, address, "send", NEVER, send_until_told))
    maker.let_go()
    assert sending.ended() == 0
    assert reading.ended() == 0


@pytest.mark.parametrize(
    ("type", "told"), [("seqpacket", True), ("stream", True), ("dgram", False)]
)
def test_who_is_told_that_no_sender_is_left(
    type: str, told: bool, maker: Maker, fork: Fork
) -> None:
    """A connected type has an end; with datagrams the receiver waits on."""
    address = made(maker, type)

    def receive_all(end: Channel) -> None:
        assert end.receive() == frame(0)
        if told:
            assert end.receive() is None
        else:
            with pytest.raises(WaitExpired):
                end.receive()

    sending = fork(in_child(socketpair, address, "send", NEVER, lambda end: end.send(frame(0))))
    assert sending.ended() == 0
    seconds = NEVER if told else SHORT
    reading = fork(in_child(socketpair, address, "receive", seconds, receive_all))
    maker.let_go()
    assert reading.ended() == 0


def test_the_largest_message_is_what_the_send_buffer_takes(maker: Maker) -> None:
    """``check`` draws the line where the kernel does: one byte more is EMSGSIZE."""
    options, fits = socketpair.Options(), 1
    while socketpair.check(options, fits * 2) == "":
        fits *= 2
    step = fits
    while step:
        if socketpair.check(options, fits + step) == "":
            fits += step
        step //= 2
    address = socketpair.make(options, fits, LOCK, maker)
    sender = socketpair.attach(address, "send", Wait(SHORT), WHAT)
    receiver = socketpair.attach(address, "receive", Wait(SHORT), WHAT)
    sender.send(bytes(fits))
    assert receiver.receive() == bytes(fits)
    with pytest.raises(OSError, match="too long"):
        os.write(address["send"]["fd"], bytes(fits + 1))
    sender.close()
    receiver.close()
