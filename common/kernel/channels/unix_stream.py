"""A UNIX stream socket: a connection for each sender, whole messages by a length in front of each.

The lecture: a stream socket is "similar to making a phone call". Each sender connects by the
socket's path; the receivers share the listening socket, and who accepts a connection serves it.
With framing ``none`` nothing marks where a message ends: one receive gets what is there, part of a
message or several ("HelloHelloHow about an answer?").
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.kernel import asking, sockets, streams
from common.kernel.channels import At, Channel, Facts
from common.kernel.connections import Receiver, Sender
from common.kernel.foreign import Awaited
from common.kernel.locks import Address
from common.kernel.sockets import CLOSED
from common.kernel.waits import Wait
from common.options import option

if TYPE_CHECKING:
    from common.kernel.objects import Maker

# Whether who has it open is told of its removal: connections live on without the path.
TELLS_REMOVAL = False

# The objects of a limited number that one channel makes.
OBJECTS: dict[str, int] = {}

# The kernel synchronises: there is nothing here for a lock to guard.
GUARDED = False

# Order is kept among the messages of one sender; connections are read in any order.
ONE_LINE = False

# A receiver inherits the socket that the launcher bound; a sender finds it by its name.
INHERITED = ("receive", "answer")


@dataclass(frozen=True)
class Options:
    """Whether messages keep their boundaries."""

    framing: str = option(
        "length",
        about="what marks the end of a message: a length of 4 bytes in front of it, or nothing",
        choices=("length", "none"),
    )
    greeting: str = option(
        "",
        about="a line that the receiver says to whoever connects, and that a sender reads first "
        "(the lecture's pair); with framing: none",
    )
    path: str | None = asking.path("the socket", "the lecture's is mysocket")
    made_by: str = asking.maker()


def facts(options: Options) -> Facts:
    """Return how it behaves (unix(7))."""
    framed = options.framing == "length"
    return Facts(
        bounded=True,
        boundaries=framed,
        many_senders=True,
        many_receivers=True,
        kept=True,
        order="as each sender sent; who accepts a sender's connection gets all that comes on it",
        waiting="sleeps in poll(2)",
        limits="a buffer of net.core.wmem_default bytes for each sender",
        persists="its name until it is unlinked, its contents until nobody has it open",
        named="a path of at most 107 bytes",
        sender_dies="half a message, which is dropped with its connection"
        if framed
        else "part of a message, which nobody can tell from a whole one",
        receiver_dies="senders are told once nobody listens, else they connect to who does; what "
        "it did not take from its connections is lost",
    )


def check(options: Options, message_size: int) -> str:
    """Return why messages of ``message_size`` bytes do not fit ("" when they do)."""
    if options.greeting and options.framing != "none":
        return "a greeting is a line among bare bytes: framing: none"
    return streams.fits(message_size) if options.framing == "length" else ""


def mend(options: Options, lock: str) -> str:
    """Return what would keep messages apart."""
    return "" if options.framing == "length" else "framing: length marks where a message ends"


def make(options: Options, message_size: int, lock: Address, maker: Maker) -> dict[str, Any]:
    """Bind the listening socket."""
    made = sockets.make_unix(socket.SOCK_STREAM, maker, options.path)
    return made | _facts(options, message_size)


def awaited(options: Options, size: int) -> list[Awaited]:
    """Return what another program makes, where the lab does not."""
    return [] if options.path is None else [Awaited("socket", options.path)]


def named(options: Options, size: int) -> dict[str, Any]:
    """Return the address of a socket that another program makes."""
    return {"path": options.path, **_facts(options, size)}


def _facts(options: Options, size: int) -> dict[str, Any]:
    return {"message_size": size, "framing": options.framing, "greeting": options.greeting}


def descriptors(address: Address, mode: str) -> list[int]:
    """Return the listening socket for a receiver; a sender connects by the path."""
    return [address["fd"]] if mode == "receive" and "fd" in address else []


def attach(address: Address, mode: str, wait: Wait, what: str, at: At | None = None) -> Channel:
    """Open one end; never blocks. Raises ``ObjectVanished`` when its path is gone."""
    size, framed = address["message_size"], address["framing"] == "length"
    if mode == "receive":
        listener = sockets.inherited(address, what)
        if framed:
            return streams.FramedReceiver(listener, size, wait, what)
        return UnframedReceiver(listener, size, wait, what, _line(address))
    sockets.present(address["path"], what)

    def dial() -> socket.socket:
        connected = sockets.dial(address, socket.SOCK_STREAM, wait, what)
        if address.get("greeting"):
            streams.read_line(connected, wait, what)
        return connected

    return (streams.FramedSender if framed else UnframedSender)(dial, size, wait, what)


def _line(address: Address) -> bytes:
    greeting: str = address.get("greeting", "")
    return f"{greeting}\n".encode() if greeting else b""


def reset(address: Address) -> None:
    """Send away whoever stands in line; the others drop their connections themselves."""
    sockets.empty(address["fd"])


class UnframedSender(Sender):
    """Sends the bare bytes of each message."""

    # Bytes that were received are received, whatever became of the others.
    DROPS_PARTS = False

    def __init__(self, dial: Callable[[], socket.socket], size: int, wait: Wait, what: str) -> None:
        super().__init__(dial, wait, what)
        self._size = size

    def send(self, message: bytes, priority: int = 0) -> None:
        """Send one message, which nothing separates from the next."""
        if len(message) > self._size:
            raise sockets.too_long(self._what, self._size, len(message))
        try:
            sent = os.write(self.fd, message)
        except OSError:
            sent = 0
        if sent != len(message):
            self.put(message, sent)


class UnframedReceiver(Receiver):
    """Receives whatever has come, up to one and a half messages."""

    def __init__(
        self, listener: socket.socket, size: int, wait: Wait, what: str, greeting: bytes = b""
    ) -> None:
        super().__init__(listener, wait, what, lingers=False)
        self._greeting = greeting
        # More than one message and less than two: what is joined is also torn.
        self._ask = size * 3 // 2 + 1

    def _accepted(self) -> int:
        fd = super()._accepted()
        if fd != CLOSED and self._greeting:
            # A new connection has room for a line; who has gone again is noticed when it is read.
            with contextlib.suppress(OSError):
                os.write(fd, self._greeting)
        return fd

    def _take(self, fd: int) -> bytes | None:
        try:
            data = os.read(fd, self._ask)
        except BlockingIOError:
            return None
        except ConnectionError:
            data = b""
        if not data:
            self._drop(fd)
            return None
        return data
