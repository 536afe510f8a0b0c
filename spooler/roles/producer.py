"""Places print jobs, as a print utility does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from common.options import option
from common.process.context import Context
from common.process.turns import Stop
from spooler import texts
from spooler.messages import SIZE, Job, alphabet, offer, send
from spooler.operations import PUT

STEPS = ("send",)
BEGINS = "send"
ENDLESS = "jobs"


@dataclass(frozen=True)
class Options:
    """What a producer can be told."""

    jobs: int = option(
        50, about="Jobs to place; 0 means until told to finish.", minimum=0, maximum=10_000_000
    )
    to: str = option(about="The channel to place them in.", channel="send", message=SIZE)
    pages: int = option(1, about="Pages of a job.", minimum=1, maximum=100)
    urgent_every: int = option(
        0, about="Every so manieth job is urgent; 0 means none.", minimum=0, maximum=1_000_000
    )
    body: int = option(
        0, about="Bytes behind each job, to make its message longer.", minimum=0, maximum=10_000_000
    )
    format: str = texts.format_option()
    text: str = option(texts.LETTERS, about="The text to send (format: text).")
    length: int = texts.length_option()


def message_size(given: Mapping[str, Any]) -> int:
    """Return how many bytes its messages have, given these options."""
    return texts.message_size(given) + int(given.get("body", 0))


def records(options: Options) -> int:
    """Return how many records this role will write, as far as it is known."""
    return options.jobs or 1024


def prepare(context: Context, options: Options) -> Callable[[], dict[str, Any]]:
    """Open the channel; returns what to do once the gate is open."""
    channel = context.channel(options.to, "send")
    index = context.channel_index(options.to)
    every = options.urgent_every
    text = texts.as_message(options.text, getattr(channel, "exact", 0))
    body = bytes(options.body)

    def place(job: Job) -> None:
        if options.format == texts.JOB:
            offer(context, channel, index, PUT, job, body)
        else:
            seen = texts.checksum(texts.text_of(text))
            send(context, channel, index, PUT, job, text, float(seen))

    def produce() -> dict[str, Any]:
        placed = 0
        while not context.finishing and (placed < options.jobs or not options.jobs):
            if context.at is not None:
                try:
                    context.at("send", channel.sending)
                except Stop:
                    break
            placed += 1
            urgent = int(every > 0 and placed % every == 0)
            letters = alphabet(context.index, placed)
            job = Job(letters, urgent, options.pages, context.item(placed))
            place(job)
            if placed % 1000 == 0:
                context.progress(placed)
        return {"placed": placed}

    return produce
