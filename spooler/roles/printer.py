"""Fetches jobs and prints them, page by page, on its own paper or on one that it shares."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from common.errors import MachineError
from common.kernel.touch import Touch
from common.options import option
from common.process.context import Context
from spooler.messages import SIZE
from spooler.operations import PAGE, PRINT
from spooler.taking import open_source

STEPS = ("receive", "acquire", "print", "release")


@dataclass(frozen=True)
class Options:
    """What a printer can be told."""

    source: str = option(about="The channel to fetch jobs from.", channel="receive", message=SIZE)


def records(options: Options) -> int:
    """Return how many records this role will write, as far as it is known."""
    return 1024


def prepare(context: Context, options: Options) -> Callable[[], dict[str, Any]]:
    """Open the channel and the paper; returns what to do once the gate is open."""
    take = open_source(context, options.source)
    page_file, lock = context.paper()
    sheet = 0 if context.addresses["paper"] else context.index % 255 + 1
    clock, at = context.clock, context.at
    # A paper of its own is nobody else's business.
    sheet_touch = None if sheet else Touch(changes=("the paper",))

    def print_page(item: int, number: int, pages: int, letters: bytes) -> None:
        text = letters.decode("ascii", "backslashreplace")
        line = f"[job {item:012x} page {number}/{pages}] {text}\n".encode()
        asked = clock()
        try:
            written = os.write(page_file, line)
        except OSError as error:
            raise MachineError(f"cannot print: {error.strerror}") from None
        cell = context.begin(PAGE, sheet, item, asked, asked, float(number))
        offset = os.lseek(page_file, 0, os.SEEK_CUR)
        context.end(cell, float(pages), float(offset - written), float(written), 0.0, clock())

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
                if at is not None:
                    at("print", sheet_touch)
                print_page(job.item, number, job.pages, job.letters)
            cell = context.begin(PRINT, sheet, job.item, asked, entered, taken.declared)
            context.end(cell, taken.seen, float(job.priority), 0.0, 0.0, clock())
            if at is not None:
                at("release", lock.giving if lock else None)
            if lock is not None:
                lock.release()
            printed += 1
        return {"printed": printed}

    return serve
