"""What only UDP does: what does not fit is lost in silence, and anybody can send."""

from __future__ import annotations

import socket

import pytest

from common.errors import KernelObjectError, ObjectVanished, WaitExpired
from common.kernel.channels import udp
from common.kernel.objects import Maker
from common.kernel.waits import Wait

SIZE = 64
WHAT = "channel orders"
LOCK = {"kind": "none", "at": {}}
OPTIONS = udp.Options()
SHORT = 0.2
LONG = 60.0
# 65535, less the headers of IP and UDP, less the token.
MOST = 65535 - 20 - 8 - 16


def body(number: int) -> bytes:
    return b"%0*d" % (SIZE, number)


@pytest.mark.parametrize("seconds", [SHORT, LONG])
def test_a_datagram_without_the_token_is_dropped(maker: Maker, seconds: float) -> None:
    """Empty, wrong or longer: counted, and no message; however the receiver waits."""
    address = udp.make(OPTIONS, SIZE, LOCK, maker)
    receiver = udp.attach(address, "receive", Wait(seconds), WHAT)
    sender = udp.attach(address, "send", Wait(seconds), WHAT)
    token = bytes.fromhex(address["token"])
    said = [b"", bytes(16) + body(1), token[:-1], token + bytes(SIZE + 1)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for one in said:
            stranger.sendto(one, ("127.0.0.1", address["port"]))
    sender.send(body(2))
    assert receiver.receive() == body(2)
    assert receiver.strangers == len(said)  # type: ignore[attr-defined]
    sender.close()
    receiver.close()


def test_a_small_buffer_loses_what_a_large_one_keeps(maker: Maker) -> None:
    """No sender waits, and none is told: the receiver finds the first of them."""
    kept = []
    for buffer in (4096, 1 << 20):
        address = udp.make(udp.Options(buffer=buffer), SIZE, LOCK, maker)
        wait = Wait(SHORT)
        receiver = udp.attach(address, "receive", wait, WHAT)
        sender = udp.attach(address, "send", wait, WHAT)
        for number in range(100):
            sender.send(body(number))
        wait.finishing = True
        taken = list(iter(receiver.receive, None))
        assert taken == [body(number) for number in range(len(taken))]
        kept.append(len(taken))
        sender.close()
        receiver.close()
    assert 0 < kept[0] < kept[1] == 100


def test_the_line_is_where_the_kernel_draws_it(maker: Maker) -> None:
    """One byte more is EMSGSIZE: an IPv4 packet has no more."""
    assert udp.check(OPTIONS, MOST) == ""
    assert str(MOST + 1) in udp.check(OPTIONS, MOST + 1)
    address = udp.make(OPTIONS, MOST + 1, LOCK, maker)
    receiver = udp.attach(address, "receive", Wait(LONG), WHAT)
    sender = udp.attach(address, "send", Wait(LONG), WHAT)
    with pytest.raises(KernelObjectError, match="over what the kernel takes"):
        sender.send(bytes(MOST + 1))
    sender.send(bytes(MOST))
    assert receiver.receive() == bytes(MOST)
    sender.close()
    receiver.close()


@pytest.mark.parametrize("seconds", [SHORT, LONG])
def test_nobody_there_is_told_with_the_second_message(maker: Maker, seconds: float) -> None:
    """The first one goes nowhere in silence; what comes back of it is ECONNREFUSED."""
    address = udp.make(OPTIONS, SIZE, LOCK, maker)
    maker.let_go()
    sender = udp.attach(address, "send", Wait(seconds), WHAT)
    sender.send(body(1))
    with pytest.raises(KernelObjectError, match=f"nobody receives from {WHAT} any more"):
        sender.send(body(2))
    sender.close()
    with pytest.raises(ObjectVanished, match=WHAT):
        udp.attach(address, "receive", Wait(seconds), WHAT)


def test_finishing_takes_what_is_there(maker: Maker) -> None:
    """Then None, and again; an empty channel keeps the deadline."""
    address = udp.make(OPTIONS, SIZE, LOCK, maker)
    wait = Wait(SHORT)
    receiver = udp.attach(address, "receive", wait, WHAT)
    with pytest.raises(WaitExpired, match=f"a message in {WHAT}"):
        receiver.receive()
    sender = udp.attach(address, "send", wait, WHAT)
    sender.send(body(1))
    wait.finishing = True
    assert [receiver.receive() for _ in range(3)] == [body(1), None, None]
    sender.close()
    receiver.close()
