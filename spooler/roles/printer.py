"""Fetches jobs and prints them, page by page, on its own paper or on one that it shares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from common.errors import MachineError
from common.kernel.touch import Touch
from common.options import option
from common.process.context import Context
from spooler import texts
from spooler.messages import SIZE
from spooler.operations import PRINT
from spooler.printing import page_printer, sheet_of
from spooler.taking import open_source

STEPS = ("receive", "acquire", "print", "release")


@dataclass(frozen=True)
class Options:
    """What a printer can be told."""

    source: str = option(about="The channel to fetch jobs from.", channel="receive", message=SIZE)
    format: str = texts.format_option()
    length: int = texts.length_option()


message_size = texts.message_size


def records(options: Options) -> int:
    """Return how many records this role will write, as far as it is known."""
    return 1024


def prepare(context: Context, options: Options) -> Callable[[], dict[str, Any]]:
    """Open the channel and the paper; returns what to do once the gate is open."""
    take = open_source(context, options.source, options.format)
    page_file, lock = context.paper()
    sheet, print_page = sheet_of(context), page_printer(context, page_file)
    clock, at = context.clock, context.at
    # A paper of its own is nobody else's business.
    sheet_touch = None if sheet else Touch(changes=("the paper",))

    def serve() -> dict[str, Any]:
        printed = 0
        while (taken := take()) is not None:
            job = taken.job
            if at is not None:
                at("acquire", lock.taking if lock else None)
            asked = clock()
            if lock is not None:
                lock.acquire()
            entered = clock()
            for number in range(1, job.pages + 1):
                try:
                    if at is not None:
                        at("print", sheet_touch)
                    print_page(job, number)
                except OSError as error:
                    raise MachineError(f"cannot print: {error.strerror}") from None
            cell = context.begin(PRINT, sheet, job.item, asked, entered, taken.declared)
            context.end(cell, taken.seen, float(job.priority), 0.0, 0.0, clock())
            if at is not None:
                at("release", lock.giving if lock else None)
            if lock is not None:
                lock.release()
            printed += 1
        return {"printed": printed}

    return serve
