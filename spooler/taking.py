"""Takes jobs from a channel and records each as it came."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

from common.kernel.channels import framed
from common.process.context import Context
from spooler import texts
from spooler.messages import SIZE, Job, checksum, cut_to_size, unpack
from spooler.operations import TAKE
from spooler.texts import JOB, TEXT


class Taken(NamedTuple):
    """A job as it was taken: the message, and the checksum declared beside the one it has."""

    raw: bytes
    job: Job
    declared: float
    seen: float


def open_source(context: Context, name: str, format: str = JOB) -> Callable[[], Taken | None]:
    """Return a function that takes the next job, or None when the channel is drained.

    With the format ``text`` the messages are texts, numbered by their arrival.
    """
    channel = context.channel(name, "receive")
    index = context.channel_index(name)
    clock, at = context.clock, context.at
    arrivals = itertools.count(1)

    def read(message: bytes) -> Taken:
        if format == TEXT:
            seen = float(texts.checksum(texts.text_of(message)))
            return Taken(message, texts.as_job(message, context.item(next(arrivals))), seen, seen)
        whole = message if len(message) == SIZE else cut_to_size(message)
        job, declared = unpack(whole)
        return Taken(whole, job, float(declared), float(checksum(job)))

    def take() -> Taken | None:
        if at is not None:
            at("receive", channel.receiving)
        asked = clock()
        message = channel.receive()
        if message is None:
            return None
        entered, left, before, after = framed(channel, asked, clock())
        taken = read(message)
        job = taken.job
        cell = context.begin(TAKE, index, job.item, asked, entered, taken.declared)
        context.end(cell, taken.seen, float(job.priority), before, after, left)
        return taken

    return take
