"""A TCP connection over 127.0.0.1 for each sender, whole messages by a length in front of each.

The lecture: stream sockets "use TCP for data transmission", "there's no message boundary for TCP".
Any local user can connect to a port, so each connection begins with the channel's token of 16
random bytes; one that does not is dropped. Nothing is collected before it is sent (TCP_NODELAY).
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.kernel import sockets, streams
from common.kernel.channels import At, Channel, Facts
from common.kernel.locks import Address
from common.kernel.waits import Wait

if TYPE_CHECKING:
    from common.kernel.objects import Maker

# Whether who has it open is told of its removal: a port has no name that could be removed.
TELLS_REMOVAL = False

# The objects of a limited number that one channel makes.
OBJECTS: dict[str, int] = {}

# The kernel synchronises: there is nothing here for a lock to guard.
GUARDED = False

# Order is kept among the messages of one sender; connections are read in any order.
ONE_LINE = False

# What was sent may be on its way for a while: acknowledged, delayed, or handed to ksoftirqd.
WALKABLE = False

# A receiver inherits the socket that the launcher bound; a sender finds it by its name.
INHERITED = ("receive", "answer")


@dataclass(frozen=True)
class Options:
    """None."""


def facts(options: Options) -> Facts:
    """Return how it behaves (tcp(7))."""
    return Facts(
        bounded=True,
        boundaries=True,
        many_senders=True,
        many_receivers=True,
        kept=True,
        order="as each sender sent; who accepts a sender's connection gets all that comes on it",
        waiting="sleeps in poll(2)",
        limits="net.ipv4.tcp_wmem and tcp_rmem bytes for each sender; some 28000 ports",
        persists="until nobody has it open; what was sent, until it is received",
        named="a port of 127.0.0.1, open to every local user: a token keeps strangers out",
        sender_dies="half a message, which is dropped with its connection",
        receiver_dies="senders are told once nobody listens, else they connect to who does; what "
        "it did not take from its connections is lost, and so is the next message of each: only "
        "its answer (RST) tells",
    )


def check(options: Options, message_size: int) -> str:
    """Return why messages of ``message_size`` bytes do not fit ("" when they do)."""
    return streams.fits(message_size)


def make(options: Options, message_size: int, lock: Address, maker: Maker) -> dict[str, Any]:
    """Bind the listening socket."""
    return sockets.make_loopback(socket.SOCK_STREAM, maker) | {"message_size": message_size}


def descriptors(address: Address, mode: str) -> list[int]:
    """Return the listening socket for a receiver; a sender connects to the port."""
    return [address["fd"]] if mode == "receive" else []


def attach(address: Address, mode: str, wait: Wait, what: str, at: At | None = None) -> Channel:
    """Open one end; never blocks. Raises ``ObjectVanished`` when a receiver's socket is gone."""
    size, token = address["message_size"], bytes.fromhex(address["token"])
    if mode == "receive":
        listener = sockets.inherited(address, what)
        return streams.FramedReceiver(listener, size, wait, what, token)

    def dial() -> socket.socket:
        line = sockets.dial(address, socket.SOCK_STREAM, wait, what)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.send(token)  # the first bytes of a connection always have room
        return line

    return streams.FramedSender(dial, size, wait, what)


def reset(address: Address) -> None:
    """Send away whoever stands in line; the others drop their connections themselves."""
    sockets.empty(address["fd"])
