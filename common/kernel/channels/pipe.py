"""A pipe without a name: made before the processes, which inherit the end that they need.

Lecture (unnamed pipes): "Processes need to be relatives"; "The other end does not get EOF if at
least one process is keeping one end open. Always close the end that process will not use!" So a
process is given one end only, and the launcher closes its own once all are started: then a writer
is told when the last reader has gone (EPIPE), and a reader when the last writer has (end of file).
Frames have one size of up to PIPE_BUF bytes, so that each write and each read of one is whole.
"""

from __future__ import annotations

import os
import select
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Options:
    """Whether a receiver reads ahead."""

    batch: bool = option(
        False, about="read many frames at once: faster, for a channel that one process receives"
    )


def facts(options: Options) -> Facts:
    """Return how it behaves (pipe(2), pipe(7))."""
    return Facts(
        bounded=True,
        boundaries=True,
        many_senders=True,
        many_receivers=True,
        kept=True,
        order="as sent",
        waiting="sleeps in poll(2)",
        limits="records of up to PIPE_BUF = 4096 bytes stay whole; 65536 bytes in all (pipe(7))",
        persists="until nobody has it open",
        named="no name: a descriptor, inherited or handed on",
        sender_dies="a whole record or nothing, up to PIPE_BUF",
        receiver_dies="senders are told (EPIPE) once none is left; what it did not take "
        + (
            "is lost as far as it had read ahead"
            if options.batch
            else "waits for another as long as anybody has it open"
        ),
    )


def check(options: Options, message_size: int) -> str:
    """Return why messages of ``message_size`` bytes do not fit ("" when they do)."""
    if message_size > select.PIPE_BUF:
        return (
            f"a message of {message_size} bytes is over PIPE_BUF = {select.PIPE_BUF}: "
            "records of several writers would be mixed"
        )
    return ""


def make(options: Options, message_size: int, lock: Address, maker: Maker) -> dict[str, Any]:
    """Make the pipe. Raises ``MachineError`` when there are no descriptors left."""
    try:
        reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise limits.refusal("pipe", str(error)) from None
    return {
        "read": maker.inherit(reading),
        "inode": os.fstat(writing).st_ino,
        "write": maker.inherit(writing),
        "message_size": message_size,
        "batch": options.batch,
    }


def descriptors(address: Address, mode: str) -> list[int]:
    """Return the end that a process needs: nobody is given the one that it will not use."""
    return [address["write" if mode == "send" else "read"]]


def attach(address: Address, mode: str, wait: Wait, what: str, at: At | None = None) -> Channel:
    """Take one end. Raises ``ObjectVanished`` where it is not open in this process.

    A sender fails at once when the last reader has gone; for a receiver the channel has ended when
    the last writer has.
    """
    fd = duplicate(descriptors(address, mode)[0], address["inode"], what)
    size = address["message_size"]
    if mode == "send":
        return Writer([fd], size, wait, what)
    return Reader([fd], size, wait, what, select.PIPE_BUF // size if address["batch"] else 1)


def reset(address: Address) -> None:
    """Read away whatever stands in the pipe."""
    drain(address["read"])
