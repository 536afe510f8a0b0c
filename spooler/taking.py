"""Takes jobs from a channel and records each as it came."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from common.kernel.channels import framed
from common.process.context import Context
from spooler.messages import SIZE, Job, checksum, cut_to_size, unpack
from spooler.operations import TAKE


class Taken(NamedTuple):
    """A job as it was taken: the message, and the checksum declared beside the one it has."""

    raw: bytes
    job: Job
    declared: float
    seen: float


def open_source(context: Context, name: str) -> Callable[[], Taken | None]:
    """Return a function that takes the next job, or None when the channel is drained."""
    channel = context.channel(name, "receive")
    index = context.channel_index(name)
    clock, at = context.clock, context.at

    def take() -> Taken | None:
        if at is not None:
            at("receive", channel.receiving)
        asked = clock()
        message = channel.receive()
        if message is None:
            return None
        entered, left, read, written = framed(channel, asked, clock())
        if len(message) != SIZE:
            message = cut_to_size(message)
        job, declared = unpack(message)
        taken = Taken(message, job, float(declared), float(checksum(job)))
        cell = context.begin(TAKE, index, job.item, asked, entered, taken.declared)
        context.end(cell, taken.seen, float(job.priority), read, written, left)
        return taken

    return take
