"""Prints pages on a process's own paper, or on one that it shares, and records each."""

from __future__ import annotations

import os
from collections.abc import Callable

from common.process.context import Context
from spooler.messages import Job
from spooler.operations import PAGE


def sheet_of(context: Context) -> int:
    """Return the number by which records name the paper: 0 is the shared one."""
    return 0 if context.addresses["paper"] else context.index % 255 + 1


def page_printer(context: Context, paper: int) -> Callable[[Job, int], None]:
    """Return what prints one page of a job on the open file ``paper``; it raises ``OSError``."""
    sheet, clock = sheet_of(context), context.clock

    def print_page(job: Job, number: int) -> None:
        text = job.letters.decode("ascii", "backslashreplace")
        line = f"[job {job.item:012x} page {number}/{job.pages}] {text}\n".encode()
        asked = clock()
        written = os.write(paper, line)
        cell = context.begin(PAGE, sheet, job.item, asked, asked, float(number))
        offset = os.lseek(paper, 0, os.SEEK_CUR)
        context.end(cell, float(job.pages), float(offset - written), float(written), 0.0, clock())

    return print_page
