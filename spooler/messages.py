"""A print job, 64 bytes: 26 letters as in the lecture's slot, then what names and checks it."""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

from common.kernel.channels import Channel, framed
from common.process.context import Context

SIZE = 64
LETTERS = 26

# letters, priority, pages, checksum, item
_LAYOUT = struct.Struct("<26sBBIQ24x")
assert _LAYOUT.size == SIZE


class Job(NamedTuple):
    """A job: its text (26 bytes), priority (0 normal, higher more urgent), pages, and name."""

    letters: bytes
    priority: int
    pages: int
    item: int


class Received(NamedTuple):
    """A job as it arrived, with the checksum that it declares."""

    job: Job
    declared: int


def checksum(job: Job) -> int:
    """Return the CRC-32 over the letters and the job's name: a mixture of two jobs fails it."""
    return zlib.crc32(job.letters + job.item.to_bytes(8, "little"))


def pack(job: Job) -> bytes:
    """Return the message of a job."""
    return _LAYOUT.pack(job.letters, job.priority, job.pages, checksum(job), job.item)


def cut_to_size(message: bytes) -> bytes:
    """Return what a reader finds that takes each receive for one job: its first 64 bytes.

    A channel without boundaries gives less than a job, or more than one; what is missing is zeros,
    and what is behind is lost.
    """
    return message[:SIZE].ljust(SIZE, b"\0")


def unpack(message: bytes) -> Received:
    """Return the job in ``message``, whether or not it is whole."""
    letters, priority, pages, declared, item = _LAYOUT.unpack(message)
    return Received(Job(letters, priority, pages, item), declared)


def alphabet(producer: int, sequence: int) -> bytes:
    """Return the lecture's a to z, turned so that two jobs in a row differ in every letter."""
    first = ord("A") if producer % 2 else ord("a")
    return bytes(first + (sequence * 5 + producer * 3 + n) % LETTERS for n in range(LETTERS))


def offer(
    context: Context, channel: Channel, index: int, code: int, job: Job, body: bytes = b""
) -> None:
    """Send ``job`` and record it as operation ``code`` on the channel numbered ``index``.

    ``body`` goes behind it in its message; who takes the message looks at the job alone.
    """
    send(context, channel, index, code, job, pack(job) + body, float(checksum(job)))


def send(
    context: Context,
    channel: Channel,
    index: int,
    code: int,
    job: Job,
    message: bytes,
    declared: float,
) -> None:
    """Send ``message`` and record it as operation ``code``, about ``job``."""
    asked = context.clock()
    channel.send(message, job.priority)
    entered, left, read, written = framed(channel, asked, context.clock())
    cell = context.begin(code, index, job.item, asked, entered, declared)
    context.end(cell, declared, float(job.priority), read, written, left)


def refuse(context: Context, index: int, code: int, job: Job) -> None:
    """Record that ``job`` was not sent, since the channel numbered ``index`` was full."""
    now = context.clock()
    cell = context.begin(code, index, job.item, now, now, float(checksum(job)))
    context.recorder.refuse(cell)
    context.end(cell, 0.0, 0.0, 0.0, 0.0, context.clock())
