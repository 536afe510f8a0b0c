"""Places print jobs, as a print utility does."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from common.errors import ChannelFull
from common.options import option
from common.process.context import Context
from common.process.turns import Stop
from spooler import texts
from spooler.messages import SIZE, Job, alphabet, offer, refuse, send
from spooler.operations import PUT

STEPS = ("send",)
BEGINS = "send"
ENDLESS = "jobs"

WAIT, DROP, RETRY, FAIL = "wait", "drop", "retry", "fail"
# Seconds before a job is tried again, at first and at most.
FIRST_PAUSE, LONGEST_PAUSE = 0.001, 0.1


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
    when_full: str = option(
        WAIT,
        about="What it does when the channel is full: waits; drops the job; tries it again after a "
        "pause that doubles; or fails.",
        choices=(WAIT, DROP, RETRY, FAIL),
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
    context.wait.refuses_full = options.when_full != WAIT
    channel = context.channel(options.to, "send")
    index = context.channel_index(options.to)
    every = options.urgent_every
    text = texts.as_message(options.text, getattr(channel, "exact", 0))
    body = bytes(options.body)
    met_full = False

    def place(job: Job) -> None:
        if options.format == texts.JOB:
            offer(context, channel, index, PUT, job, body)
        else:
            seen = texts.checksum(texts.text_of(text))
            send(context, channel, index, PUT, job, text, float(seen))

    def insist(job: Job) -> int:
        """Place a job as far as a full channel lets; returns the tries, 0 when it was dropped."""
        nonlocal met_full
        tries, pause = 1, FIRST_PAUSE
        while True:
            try:
                place(job)
            except ChannelFull:
                if not met_full:
                    met_full = True
                    context.full(options.to)
                if options.when_full == FAIL:
                    raise
                if options.when_full == DROP or context.finishing:
                    refuse(context, index, PUT, job)
                    return 0
            else:
                return tries
            # The pause is what was asked for: nobody tells who does not wait that there is room.
            time.sleep(pause)
            tries, pause = tries + 1, min(2 * pause, LONGEST_PAUSE)

    def produce() -> dict[str, Any]:
        placed = made = dropped = retried = 0
        while not context.finishing and (made < options.jobs or not options.jobs):
            if context.at is not None:
                try:
                    context.at("send", channel.sending)
                except Stop:
                    break
            made += 1
            urgent = int(every > 0 and made % every == 0)
            letters = alphabet(context.index, made)
            job = Job(letters, urgent, options.pages, context.item(made))
            tries = insist(job)
            placed += tries > 0
            dropped += not tries
            retried += max(0, tries - 1)
            if made % 1000 == 0:
                context.progress(made)
        counts = {"placed": placed}
        return counts | (
            {} if options.when_full == WAIT else {"dropped": dropped, "retried": retried}
        )

    return produce
