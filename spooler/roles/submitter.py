"""Submits jobs to a spool, as a print utility does: a job is accepted when the spooler says so."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from common.kernel.spool import LARGEST_PRIORITY
from common.options import option
from common.process.context import Context
from common.process.turns import Stop
from spooler import submission
from spooler.messages import Job, alphabet, checksum
from spooler.operations import PUT
from spooler.submission import Submission

STEPS = ("send", "receive")
BEGINS = "send"
ENDLESS = "jobs"


@dataclass(frozen=True)
class Options:
    """What a submitter can be told."""

    to: str = option(
        about="The channel to the spooler; its kind must carry answers back.", channel="call",
        message=submission.SIZE,
    )  # fmt: skip
    jobs: int = option(
        50, about="Jobs to submit; 0 means until told to finish.", minimum=0, maximum=100_000
    )
    pages: int = option(1, about="Pages of a job.", minimum=1, maximum=100)
    priorities: list[int] = option(
        [0], about="Priorities of its jobs in turn, 0 normal, 9 the most urgent.", minimum=1,
        maximum=100,
    )  # fmt: skip
    held: bool = option(False, about="Whether its jobs are held until somebody releases them.")
    attempts: int = option(
        50, about="How often a job is sent when the connection is lost.", minimum=1, maximum=10_000
    )


def check(options: Options) -> dict[str, str]:
    """Return what is wrong with the options, by option."""
    wrong = [
        number
        for number, each in enumerate(options.priorities)
        if not 0 <= each <= LARGEST_PRIORITY
    ]
    return {f"priorities.{number}": f"priorities are 0 to {LARGEST_PRIORITY}" for number in wrong}


def records(options: Options) -> int:
    """Return how many records this role will write, as far as it is known."""
    return options.jobs or 1024


def prepare(context: Context, options: Options) -> Callable[[], dict[str, Any]]:
    """Open the line; returns what to do once the gate is open."""
    line = cast(submission.Line, context.channel(options.to, "send"))
    index = context.channel_index(options.to)
    # Jobs of earlier runs lie in a spool that outlives them: none is called like one of those.
    first: int = context.addresses["spool"]["first"]
    clock, at = context.clock, context.at

    def submit() -> dict[str, Any]:
        placed = again = unaccepted = 0
        why_not = ""
        for count in range(options.jobs) if options.jobs else itertools.count():
            try:
                if at is not None:
                    at("send", line.sending)
            except Stop:
                break
            if context.finishing:
                break
            number = first + count
            priority = options.priorities[count % len(options.priorities)]
            letters = alphabet(context.index, count + 1)
            job = Job(letters, priority, options.pages, context.item(number))
            asked = clock()
            tries = submission.submit(
                line, at, Submission(job, context.name, number, options.held), options.attempts
            )
            if isinstance(tries, str):
                unaccepted += 1
                why_not = why_not or tries
                continue
            again += tries
            declared = float(checksum(job))
            cell = context.begin(PUT, index, job.item, asked, asked, declared)
            context.end(cell, declared, float(priority), 0.0, 0.0, clock())
            placed += 1
            context.progress(placed)
        told = {"placed": placed, "sent_again": again, "unaccepted": unaccepted}
        return told | ({"why_not": why_not} if why_not else {})

    return submit
