"""Accepts jobs into the spool: each is on disk before its sender is told so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from common.errors import MachineError, ProcessError
from common.history import record
from common.options import option
from common.process.context import Context
from spooler import submission
from spooler.messages import checksum
from spooler.operations import ACCEPT, TAKE

SPOOL = "send"
STEPS = ("receive", "spool", "sync", "accept", "move", "send")


@dataclass(frozen=True)
class Options:
    """What a spooler can be told."""

    source: str = option(
        about="The channel of the jobs; its kind must carry answers back.", channel="serve",
        message=submission.SIZE,
    )  # fmt: skip


def records(options: Options) -> int:
    """Return how many records this role will write, as far as it is known."""
    return 1024


def prepare(context: Context, options: Options) -> Callable[[], dict[str, Any]]:
    """Open the channel and the spool; returns what to do once the gate is open."""
    counter = cast(submission.Counter, context.channel(options.source, "receive"))
    index = context.channel_index(options.source)
    spool = context.spool()
    clock, at = context.clock, context.at

    def serve() -> dict[str, Any]:
        taken = accepted = turned_down = 0
        while True:
            if at is not None:
                at("receive", counter.receiving)
            asked = clock()
            message = counter.receive()
            if message is None:
                return {"taken": taken, "accepted": accepted, "turned_down": turned_down}
            try:
                found = submission.unpack(message)
            except ProcessError:
                # Whoever sent it is not answered, and no job of the others is lost over it.
                turned_down += 1
                continue
            job = found.job
            declared, priority = float(checksum(job)), float(job.priority)
            answer = submission.acceptance(job.item)
            taking = context.begin(TAKE, index, job.item, asked, asked, declared)
            received = clock()
            new = False
            try:
                new = spool.accept(job.item, found.body(), job.priority, held=found.held)
                taken += 1
            except MachineError as error:
                # The disk is full: its sender is told that it is not accepted, and why.
                answer = submission.refusal(job.item, str(error))
                context.recorder.refuse(taking)
                turned_down += 1
            context.end(taking, declared, priority, 0.0, 0.0, received)
            if new:
                cell = context.begin(ACCEPT, record.SPOOL, job.item, received, received, declared)
                context.end(cell, declared, priority, 0.0, 0.0, clock())
                accepted += 1
            if at is not None:
                at("send", counter.replying)
            counter.reply(answer)

    return serve
