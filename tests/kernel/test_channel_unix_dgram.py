"""What only a UNIX datagram socket does: one queue for all, which nothing overflows."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from common.errors import KernelObjectError, ObjectVanished, WaitExpired
from common.kernel.channels import unix_dgram
from common.kernel.objects import Maker
from common.kernel.waits import Wait

SIZE = 64
WHAT = "channel orders"
LOCK = {"kind": "none", "at": {}}
OPTIONS = unix_dgram.Options()
SHORT = 0.2
LONG = 60.0


def body(number: int) -> bytes:
    return b"%0*d" % (SIZE, number)


@pytest.fixture
def address(maker: Maker) -> dict[str, Any]:
    return unix_dgram.make(OPTIONS, SIZE, LOCK, maker)


def test_senders_stand_in_one_line(address: dict[str, Any]) -> None:
    """What two of them sent is received in the order in which it was sent."""
    receiver = unix_dgram.attach(address, "receive", Wait(SHORT), WHAT)
    senders = [unix_dgram.attach(address, "send", Wait(SHORT), WHAT) for _ in range(2)]
    for number in range(8):
        senders[number % 2].send(body(number))
    assert [receiver.receive() for _ in range(8)] == [body(number) for number in range(8)]
    for end in (*senders, receiver):
        end.close()


def test_the_queue_holds_what_the_kernel_says(address: dict[str, Any]) -> None:
    """net.unix.max_dgram_qlen messages and one more; then a sender waits."""
    holds = int(Path("/proc/sys/net/unix/max_dgram_qlen").read_text()) + 1
    sender = unix_dgram.attach(address, "send", Wait(SHORT), WHAT)
    for number in range(holds):
        sender.send(body(number))
    with pytest.raises(WaitExpired, match=f"room in {WHAT}"):
        sender.send(body(holds))
    assert sender.sending.ready is not None
    assert not sender.sending.ready()
    sender.close()


def test_the_line_is_where_the_kernel_draws_it(maker: Maker) -> None:
    """One byte more than ``check`` lets through is EMSGSIZE."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asked:
        most = asked.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) - 32
    assert unix_dgram.check(OPTIONS, most) == ""
    assert str(most + 1) in unix_dgram.check(OPTIONS, most + 1)
    address = unix_dgram.make(OPTIONS, most + 1, LOCK, maker)
    receiver = unix_dgram.attach(address, "receive", Wait(LONG), WHAT)
    sender = unix_dgram.attach(address, "send", Wait(LONG), WHAT)
    with pytest.raises(KernelObjectError, match=f"a message of {most + 1} bytes is over"):
        sender.send(bytes(most + 1))
    sender.send(bytes(most))
    assert receiver.receive() == bytes(most)
    sender.close()
    receiver.close()


@pytest.mark.parametrize("seconds", [SHORT, LONG])
def test_a_longer_datagram_is_dropped(address: dict[str, Any], seconds: float) -> None:
    """It is not ours: counted, never cut to size; however the receiver waits."""
    receiver = unix_dgram.attach(address, "receive", Wait(seconds), WHAT)
    sender = unix_dgram.attach(address, "send", Wait(seconds), WHAT)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as foreign:
        foreign.sendto(bytes(SIZE + 1), address["path"])
    sender.send(body(1))
    assert receiver.receive() == body(1)
    assert receiver.strangers == 1  # type: ignore[attr-defined]
    sender.close()
    receiver.close()


def test_an_empty_message_is_a_message(address: dict[str, Any]) -> None:
    """A datagram socket has no end that it could look like."""
    receiver = unix_dgram.attach(address, "receive", Wait(SHORT), WHAT)
    sender = unix_dgram.attach(address, "send", Wait(SHORT), WHAT)
    sender.send(b"")
    assert receiver.receive() == b""
    sender.close()
    receiver.close()


@pytest.mark.parametrize("seconds", [SHORT, LONG])
def test_nobody_there_is_told_at_once(maker: Maker, seconds: float) -> None:
    """The last one who could receive has closed it: an error by name, before any deadline."""
    address = unix_dgram.make(OPTIONS, SIZE, LOCK, maker)
    sender = unix_dgram.attach(address, "send", Wait(seconds), WHAT)
    maker.let_go()
    with pytest.raises(KernelObjectError, match=f"nobody receives from {WHAT} any more"):
        sender.send(body(1))
    sender.close()
    with pytest.raises(KernelObjectError, match="nobody receives"):
        unix_dgram.attach(address, "send", Wait(seconds), WHAT)
    with pytest.raises(ObjectVanished, match=WHAT):
        unix_dgram.attach(address, "receive", Wait(seconds), WHAT)
