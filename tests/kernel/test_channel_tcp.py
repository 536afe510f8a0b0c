"""What only TCP does: a port that anybody can call, and bytes that are on their way."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from common.errors import KernelObjectError, WaitExpired
from common.kernel import waits
from common.kernel.channels import tcp
from common.kernel.objects import Maker
from common.kernel.waits import Wait

SIZE = 64
WHAT = "channel orders"
LOCK = {"kind": "none", "at": {}}
SHORT = 0.2
LONG = 60.0


def body(number: int) -> bytes:
    return b"%0*d" % (SIZE, number)


def frame(message: bytes) -> bytes:
    return len(message).to_bytes(4, "little") + message


@pytest.fixture
def address(maker: Maker) -> dict[str, Any]:
    return tcp.make(tcp.Options(), SIZE, LOCK, maker)


@pytest.fixture
def call(address: dict[str, Any]) -> Iterator[Callable[[], socket.socket]]:
    """Yield a function that connects as another program of any user would."""
    calls: list[socket.socket] = []

    def connected() -> socket.socket:
        calls.append(socket.create_connection(("127.0.0.1", address["port"])))
        return calls[-1]

    yield connected
    for each in calls:
        each.close()


@pytest.mark.parametrize("said", [b"x", bytes(16) + frame(body(1)), frame(body(1)) * 3])
def test_who_does_not_show_the_token_is_dropped(
    address: dict[str, Any], call: Any, said: bytes
) -> None:
    """What it sent is no message, and its connection is closed."""
    receiver = tcp.attach(address, "receive", Wait(SHORT), WHAT)
    stranger = call()
    stranger.sendall(said)
    with pytest.raises(WaitExpired):
        receiver.receive()
    assert receiver.strangers == 1  # type: ignore[attr-defined]
    stranger.settimeout(LONG)
    # The end where all was read, and a reset where it was not.
    with contextlib.suppress(ConnectionResetError):
        assert stranger.recv(1) == b""
    receiver.close()


def test_a_token_that_comes_in_pieces_is_one(address: dict[str, Any], call: Any) -> None:
    """Byte by byte, and with the first message behind it."""
    receiver = tcp.attach(address, "receive", Wait(LONG), WHAT)
    line = call()
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    said = bytes.fromhex(address["token"]) + frame(body(1))
    for n in range(len(said)):
        line.send(said[n : n + 1])
    assert receiver.receive() == body(1)
    receiver.close()


def test_a_silent_stranger_does_not_keep_a_receiver_from_finishing(
    address: dict[str, Any], call: Any
) -> None:
    """Only who has shown the token is waited for."""
    wait = Wait(LONG)
    receiver = tcp.attach(address, "receive", wait, WHAT)
    sender = tcp.attach(address, "send", wait, WHAT)
    call()
    sender.send(body(1))
    sender.close()
    wait.finishing = True
    assert receiver.receive() == body(1)
    assert receiver.receive() is None
    receiver.close()


def test_finishing_waits_for_the_end_of_each_connection(address: dict[str, Any], call: Any) -> None:
    """A sender that shows the token and is still there keeps its receiver until the deadline."""
    wait = Wait(3 * waits.TICK)
    receiver = tcp.attach(address, "receive", wait, WHAT)
    line = call()
    line.sendall(bytes.fromhex(address["token"]) + frame(body(1)))
    wait.finishing = True
    assert receiver.receive() == body(1)
    with pytest.raises(WaitExpired):
        receiver.receive()
    line.close()
    assert receiver.receive() is None
    receiver.close()


def test_what_an_ended_sender_still_had_to_send_is_received(
    address: dict[str, Any], fork: Any
) -> None:
    """More than the receiver has room for is with the kernel of a process that has gone."""
    counted = os.pipe()

    def work() -> None:
        sender = tcp.attach(address, "send", Wait(SHORT), WHAT)
        number = 0
        try:
            while True:
                sender.send(body(number))
                number += 1
        except WaitExpired:
            os.write(counted[1], str(number).encode())

    assert fork(work).ended() == 0
    count = int(os.read(counted[0], 32))
    for fd in counted:
        os.close(fd)
    wait = Wait(LONG)
    wait.finishing = True
    receiver = tcp.attach(address, "receive", wait, WHAT)
    assert list(iter(receiver.receive, None)) == [body(number) for number in range(count)]
    receiver.close()


def test_nothing_is_collected_before_it_is_sent(address: dict[str, Any]) -> None:
    """TCP_NODELAY: a small message does not wait for an acknowledgement of the one before."""
    sender = tcp.attach(address, "send", Wait(SHORT), WHAT)
    sender.send(body(1))
    line = socket.socket(fileno=os.dup(sender.fd))  # type: ignore[attr-defined]
    assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    line.close()
    sender.close()


def test_a_port_that_nobody_has_is_told(maker: Maker) -> None:
    """The last one who could receive has closed it: an error by name."""
    address = tcp.make(tcp.Options(), SIZE, LOCK, maker)
    maker.let_go()
    sender = tcp.attach(address, "send", Wait(SHORT), WHAT)
    with pytest.raises(KernelObjectError, match=f"nobody receives from {WHAT} any more"):
        sender.send(body(1))
    sender.close()


def test_only_loopback_is_bound(address: dict[str, Any]) -> None:
    """No other machine can call, and every channel has a token of its own."""
    bound = socket.socket(fileno=os.dup(address["fd"]))
    assert bound.getsockname() == ("127.0.0.1", address["port"])
    bound.close()
    assert len(bytes.fromhex(address["token"])) == 16


def test_two_channels_have_two_tokens(maker: Maker) -> None:
    """A token is drawn for each."""
    made = [tcp.make(tcp.Options(), SIZE, LOCK, maker) for _ in range(2)]
    assert made[0]["token"] != made[1]["token"]
