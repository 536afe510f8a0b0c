"""The spooler proper: takes jobs from where producers place them and hands them to a printer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from common.kernel.channels import framed
from common.options import option
from common.process.context import Context
from spooler import texts
from spooler.messages import SIZE
from spooler.operations import PASS
from spooler.taking import open_source

STEPS = ("receive", "send")


@dataclass(frozen=True)
class Options:
    """What a consumer can be told."""

    source: str = option(about="The channel to take jobs from.", channel="receive", message=SIZE)
    to: str = option(
        about="The channel to the printers; with `per: printer`, each consumer feeds one of them.",
        channel="send",
        message=SIZE,
    )
    format: str = texts.format_option()
    length: int = texts.length_option()


message_size = texts.message_size


def records(options: Options) -> int:
    """Return how many records this role will write, as far as it is known."""
    return 1024


def prepare(context: Context, options: Options) -> Callable[[], dict[str, Any]]:
    """Open both channels; returns what to do once the gate is open."""
    take = open_source(context, options.source, options.format)
    owners = list(context.addresses["channels"][options.to]["at"])
    place = int(context.first_name.rpartition("-")[2])
    channel = context.channel(options.to, "send", owners[place % len(owners)])
    index = context.channel_index(options.to)
    clock, at = context.clock, context.at

    def consume() -> dict[str, Any]:
        taken = 0
        while (message := take()) is not None:
            taken += 1
            if at is not None:
                at("send", channel.sending)
            asked = clock()
            # Handed on as it came, whole or not: the printer prints what it is given.
            channel.send(message.raw, message.job.priority)
            entered, left, read, written = framed(channel, asked, clock())
            cell = context.begin(PASS, index, message.job.item, asked, entered, message.declared)
            context.end(cell, message.seen, float(message.job.priority), read, written, left)
        return {"taken": taken}

    return consume
