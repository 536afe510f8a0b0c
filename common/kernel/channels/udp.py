"""UDP over 127.0.0.1: whole messages, and what the receiver has no room for is lost in silence.

The lecture: a datagram socket is "similar to sending a mail"; "delivery and order of delivery is
not guaranteed". Any local user can send to a port, so each datagram begins with the channel's token
of 16 random bytes; one that does not is dropped.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.kernel import sockets
from common.kernel.channels import At, Channel, Facts
from common.kernel.datagrams import Datagrams
from common.kernel.locks import Address
from common.kernel.waits import Wait
from common.options import option

if TYPE_CHECKING:
    from common.kernel.objects import Maker

# Whether who has it open is told of its removal: a port has no name that could be removed.
TELLS_REMOVAL = False

# The objects of a limited number that one channel makes.
OBJECTS: dict[str, int] = {}

# The kernel synchronises: there is nothing here for a lock to guard.
GUARDED = False

# What was sent may be on its way for a while, in the hands of ksoftirqd.
WALKABLE = False

# An IPv4 packet of 65535 bytes, less the headers of IP and UDP.
_MOST = 65535 - 20 - 8
_LARGEST = _MOST - sockets.TOKEN_BYTES

# A receiver inherits the socket that the launcher bound; a sender finds it by its name.
INHERITED = ("receive", "answer")


@dataclass(frozen=True)
class Options:
    """How much waits for the receiver before the rest is lost."""

    buffer: int | None = option(
        None,
        about="bytes asked for to receive into (SO_RCVBUF); empty: net.core.rmem_default",
        minimum=1,
        maximum=1 << 30,
    )


def facts(options: Options) -> Facts:
    """Return how it behaves (udp(7))."""
    return Facts(
        bounded=False,
        boundaries=True,
        many_senders=True,
        many_receivers=True,
        kept=True,
        order="not promised; as sent on a loopback interface",
        waiting="a receiver sleeps in poll(2); a sender does not wait for it",
        limits=f"{_LARGEST} bytes a message and the token; {_in_all(options)} in all",
        persists="until no receiver has it open",
        named="a port of 127.0.0.1, open to every local user: a token keeps strangers out",
        sender_dies="a whole message or nothing",
        receiver_dies="senders are told, with their second message, once none is left; what it did "
        "not take waits for another as long as anybody has its socket open",
    )


def _in_all(options: Options) -> str:
    # The kernel doubles what is asked for, and counts its own share of each datagram (socket(7)).
    return f"2 x {options.buffer} bytes" if options.buffer else "net.core.rmem_default bytes"


def mend(options: Options, lock: str) -> str:
    """Return what would keep every message."""
    return "a kind whose sender waits for room (tcp, unix_dgram), or a larger buffer"


def check(options: Options, message_size: int) -> str:
    """Return why messages of ``message_size`` bytes do not fit ("" when they do)."""
    if message_size > _LARGEST:
        return (
            f"a message of {message_size} bytes is over {_LARGEST}: a datagram has {_MOST} at "
            f"most, {sockets.TOKEN_BYTES} of them for the token"
        )
    return ""


def make(options: Options, message_size: int, lock: Address, maker: Maker) -> dict[str, Any]:
    """Bind the socket."""
    made = sockets.make_loopback(socket.SOCK_DGRAM, maker, options.buffer)
    return made | {"message_size": message_size}


def descriptors(address: Address, mode: str) -> list[int]:
    """Return the bound socket for a receiver; a sender sends to the port."""
    return [address["fd"]] if mode == "receive" else []


def attach(address: Address, mode: str, wait: Wait, what: str, at: At | None = None) -> Channel:
    """Open one end. Raises ``ObjectVanished`` when a receiver's socket is gone."""
    if mode == "receive":
        opened = sockets.inherited(address, what)
    else:
        # Connected, so that it hears when nobody is there (ECONNREFUSED), from the second on.
        opened = sockets.dial(address, socket.SOCK_DGRAM, wait, what)
    token = bytes.fromhex(address["token"])
    return Datagrams(opened, address["message_size"], wait, what, token, late=True)


def reset(address: Address) -> None:
    """Take out every message."""
    sockets.empty(address["fd"])
