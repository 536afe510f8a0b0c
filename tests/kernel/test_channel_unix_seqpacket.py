"""What only a UNIX seqpacket socket does: records of the kernel's, and connections in turn."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from common.errors import KernelObjectError, WaitExpired
from common.kernel.channels import unix_seqpacket
from common.kernel.objects import Maker
from common.kernel.waits import Wait

SIZE = 64
WHAT = "channel orders"
LOCK = {"kind": "none", "at": {}}
OPTIONS = unix_seqpacket.Options()
SHORT = 0.2


def body(number: int) -> bytes:
    return b"%0*d" % (SIZE, number)


@pytest.fixture
def address(maker: Maker) -> dict[str, Any]:
    return unix_seqpacket.make(OPTIONS, SIZE, LOCK, maker)


def line() -> int:
    """Return the largest message that ``check`` lets through."""
    fits, too_big = SIZE, 1 << 24
    while too_big - fits > 1:
        middle = (fits + too_big) // 2
        if unix_seqpacket.check(OPTIONS, middle):
            too_big = middle
        else:
            fits = middle
    return fits


def test_an_empty_message_is_refused(address: dict[str, Any]) -> None:
    """It would look like the end of its connection; the connection stays."""
    receiver = unix_seqpacket.attach(address, "receive", Wait(SHORT), WHAT)
    sender = unix_seqpacket.attach(address, "send", Wait(SHORT), WHAT)
    sender.send(body(1))
    with pytest.raises(KernelObjectError, match="an empty message would look like the end"):
        sender.send(b"")
    sender.send(body(2))
    assert [receiver.receive(), receiver.receive()] == [body(1), body(2)]
    sender.close()
    receiver.close()


def test_the_line_is_where_the_kernel_draws_it(maker: Maker) -> None:
    """One byte more is EMSGSIZE, told with its size; the connection goes on."""
    most = line()
    address = unix_seqpacket.make(OPTIONS, most + 1, LOCK, maker)
    receiver = unix_seqpacket.attach(address, "receive", Wait(SHORT), WHAT)
    sender = unix_seqpacket.attach(address, "send", Wait(SHORT), WHAT)
    with pytest.raises(KernelObjectError, match=f"a message of {most + 1} bytes is over"):
        sender.send(bytes(most + 1))
    sender.send(bytes(most))
    assert receiver.receive() == bytes(most)
    sender.close()
    receiver.close()


def test_a_busy_sender_does_not_keep_the_others_out(address: dict[str, Any]) -> None:
    """A connection that always has more is left for the others after some messages."""
    receiver = unix_seqpacket.attach(address, "receive", Wait(SHORT), WHAT)
    busy = unix_seqpacket.attach(address, "send", Wait(SHORT), WHAT)
    other = unix_seqpacket.attach(address, "send", Wait(SHORT), WHAT)
    busy.send(body(0))
    assert receiver.receive() == body(0)
    for number in range(1, 200):
        busy.send(body(number))
    other.send(body(999))
    taken = [receiver.receive() for _ in range(200)]
    assert taken.index(body(999)) < 199
    assert [one for one in taken if one != body(999)] == [body(number) for number in range(1, 200)]
    for end in (busy, other, receiver):
        end.close()


def test_a_longer_record_ends_its_connection(address: dict[str, Any]) -> None:
    """It is not ours: dropped and counted, never cut to size; others go on."""
    receiver = unix_seqpacket.attach(address, "receive", Wait(SHORT), WHAT)
    sender = unix_seqpacket.attach(address, "send", Wait(SHORT), WHAT)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as foreign:
        foreign.connect(address["path"])
        foreign.send(bytes(SIZE + 1))
        sender.send(body(1))
        assert receiver.receive() == body(1)
        with pytest.raises(WaitExpired):
            receiver.receive()
        assert receiver.cut_short == 1  # type: ignore[attr-defined]
        with pytest.raises(BrokenPipeError):
            foreign.send(bytes(SIZE))
    sender.close()
    receiver.close()


def test_what_came_before_the_end_is_delivered(address: dict[str, Any]) -> None:
    """A sender sends and closes before anybody accepted it."""
    wait = Wait(SHORT)
    sender = unix_seqpacket.attach(address, "send", wait, WHAT)
    for number in range(100):
        sender.send(body(number))
    sender.close()
    wait.finishing = True
    receiver = unix_seqpacket.attach(address, "receive", wait, WHAT)
    assert list(iter(receiver.receive, None)) == [body(number) for number in range(100)]
    receiver.close()
