"""A pair of connected sockets: what is written into one comes out of the other, in both directions.

Lecture (full-duplex pipe): "fd[0] reads/writes from/to fd[1]". All senders have one socket, all
receivers the other. The default type is ``seqpacket``: it keeps the boundaries of messages, as
``dgram`` does, and tells receivers, as ``stream`` does, when the last sender has gone. A stream has
no boundaries: frames of one size give them back for one sender and one receiver (unix(7)).
"""

from __future__ import annotations

import os
import select
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.kernel import limits
from common.kernel.channels import At, Channel, Facts
from common.kernel.frames import Reader, Writer, drain, duplicate
from common.kernel.locks import Address
from common.kernel.waits import Wait
from common.options import option

if TYPE_CHECKING:
    from common.kernel.objects import Maker

# Whether who has it open is told of its removal: it has no name that could be taken away.
TELLS_REMOVAL = False

# The objects of a limited number that one channel makes.
OBJECTS: dict[str, int] = {}

# The kernel synchronises: there is nothing here for a lock to guard.
GUARDED = False

_TYPES = {
    "seqpacket": socket.SOCK_SEQPACKET,
    "dgram": socket.SOCK_DGRAM,
    "stream": socket.SOCK_STREAM,
}
# What the kernel sets aside of a socket's send buffer: a larger message is EMSGSIZE.
_RESERVED = 32


@dataclass(frozen=True)
class Options:
    """What kind of sockets they are."""

    type: str = option(
        "seqpacket",
        about="seqpacket and dgram keep messages apart, a stream does not; only dgram receivers "
        "are not told that the senders have gone",
        choices=tuple(_TYPES),
    )


def facts(options: Options) -> Facts:
    """Return how it behaves (socketpair(2), unix(7))."""
    packets = options.type != "stream"
    return Facts(
        bounded=True,
        boundaries=packets,
        # No page promises that the frames of several are not mixed on a stream.
        many_senders=packets,
        many_receivers=packets,
        kept=True,
        order="as sent",
        waiting="sleeps in poll(2); a sender that found no room until most of it is free again",
        limits="net.core.wmem_default bytes on their way, the kernel's own for each included"
        + ("" if packets else "; frames of up to PIPE_BUF = 4096 bytes"),
        persists="until nobody has it open",
        named="no name: a descriptor, inherited or handed on",
        sender_dies="a whole message or nothing" if packets else "perhaps part of a frame",
        receiver_dies="senders are told once none is left; what it did not take waits for another "
        "as long as anybody has its end open",
    )


def check(options: Options, message_size: int) -> str:
    """Return why messages of ``message_size`` bytes do not fit ("" when they do)."""
    if options.type == "stream" and message_size > select.PIPE_BUF:
        return (
            f"a message of {message_size} bytes may be written in parts to a stream: "
            f"its frames have up to {select.PIPE_BUF} bytes (PIPE_BUF)"
        )
    try:
        buffer = int(Path("/proc/sys/net/core/wmem_default").read_text())
    except OSError:
        return "this kernel has no sockets: /proc/sys/net/core cannot be read"
    if message_size > buffer - _RESERVED:
        return (
            f"a message of {message_size} bytes is over net.core.wmem_default = {buffer} "
            f"less {_RESERVED}"
        )
    return ""


def check_ends(options: Options, per: bool, senders: int, receivers: int) -> str:
    """Return why so many processes cannot use it ("" when they can)."""
    if options.type == "stream" and (senders > 1 or receivers > 1):
        return (
            f"a stream has no boundaries: {senders} senders and {receivers} receivers could mix "
            "their frames; type: seqpacket keeps them apart"
        )
    return ""


def make(options: Options, message_size: int, lock: Address, maker: Maker) -> dict[str, Any]:
    """Make the pair. Raises ``MachineError`` when there are no descriptors left."""
    try:
        pair = socket.socketpair(socket.AF_UNIX, _TYPES[options.type])
    except OSError as error:
        raise limits.refusal("socketpair", str(error)) from None
    address: dict[str, Any] = {"message_size": message_size}
    for mode, end in zip(("send", "receive"), pair, strict=True):
        end.setblocking(False)
        inode = os.fstat(end.fileno()).st_ino
        address[mode] = {"fd": maker.inherit(end.detach()), "inode": inode}
    return address


def descriptors(address: Address, mode: str) -> list[int]:
    """Return the end that a process needs: nobody is given the one that it will not use."""
    return [address[mode]["fd"]]


def attach(address: Address, mode: str, wait: Wait, what: str, at: At | None = None) -> Channel:
    """Take one end. Raises ``ObjectVanished`` where it is not open in this process.

    A sender fails at once when the last receiver has gone; but with ``dgram``, the channel has
    ended for a receiver when the last sender has.
    """
    end = [duplicate(address[mode]["fd"], address[mode]["inode"], what)]
    return (Writer if mode == "send" else Reader)(end, address["message_size"], wait, what)


def reset(address: Address) -> None:
    """Receive whatever is on its way."""
    drain(address["receive"]["fd"])
