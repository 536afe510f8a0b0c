"""A UNIX datagram socket: one queue of whole messages; when it is full its senders wait.

The lecture says of datagram sockets that "delivery and order of delivery is not guaranteed" and
that they use UDP: a UNIX one loses nothing and keeps the order.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.kernel import asking, sockets
from common.kernel.channels import At, Channel, Facts
from common.kernel.datagrams import Datagrams
from common.kernel.foreign import Awaited
from common.kernel.locks import Address
from common.kernel.waits import Wait

if TYPE_CHECKING:
    from common.kernel.objects import Maker

# Whether who has it open is told of its removal: the socket lives on without its path.
TELLS_REMOVAL = False

# The objects of a limited number that one channel makes.
OBJECTS: dict[str, int] = {}

# The kernel synchronises: there is nothing here for a lock to guard.
GUARDED = False

# A receiver inherits the socket that the launcher bound; a sender finds it by its name.
INHERITED = ("receive", "answer")


@dataclass(frozen=True)
class Options:
    """Where the socket is, and who makes it."""

    path: str | None = asking.path("the socket", "the lecture's is mysocket")
    made_by: str = asking.maker()


def facts(options: Options) -> Facts:
    """Return how it behaves (unix(7))."""
    return Facts(
        bounded=True,
        boundaries=True,
        many_senders=True,
        many_receivers=True,
        kept=True,
        order="as sent",
        waiting="sleeps in poll(2)",
        limits="net.unix.max_dgram_qlen messages and one; about net.core.wmem_default bytes in one",
        persists="its name until it is unlinked, its contents until no receiver has it open",
        named="a path of at most 107 bytes",
        sender_dies="a whole message or nothing",
        receiver_dies="senders are told once none is left; what it did not take waits for another "
        "as long as anybody has its socket open",
    )


def check(options: Options, message_size: int) -> str:
    """Return why messages of ``message_size`` bytes do not fit ("" when they do)."""
    return sockets.most_in_one(message_size)


def make(options: Options, message_size: int, lock: Address, maker: Maker) -> dict[str, Any]:
    """Bind the socket."""
    made = sockets.make_unix(socket.SOCK_DGRAM, maker, options.path)
    return made | {"message_size": message_size}


def awaited(options: Options, size: int) -> list[Awaited]:
    """Return what another program makes, where the lab does not."""
    return [] if options.path is None else [Awaited("socket", options.path)]


def named(options: Options, size: int) -> dict[str, Any]:
    """Return the address of a socket that another program makes."""
    return {"path": options.path, "message_size": size}


def descriptors(address: Address, mode: str) -> list[int]:
    """Return the bound socket for a receiver; a sender connects by the path."""
    return [address["fd"]] if mode == "receive" and "fd" in address else []


def attach(address: Address, mode: str, wait: Wait, what: str, at: At | None = None) -> Channel:
    """Open one end. Raises ``ObjectVanished``, ``NotPermitted``, ``KernelObjectError``."""
    if mode == "receive":
        opened = sockets.inherited(address, what)
    else:
        sockets.present(address["path"], what)
        opened = sockets.dial(address, socket.SOCK_DGRAM, wait, what)
    return Datagrams(opened, address["message_size"], wait, what)


def reset(address: Address) -> None:
    """Take out every message."""
    sockets.empty(address["fd"])
