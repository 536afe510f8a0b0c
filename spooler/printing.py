"""Prints pages on a process's own paper, or on one that it shares, and records each."""

from __future__ import annotations

import os
from collections.abc import Callable

from common import kinds
from common.process.context import Context
from spooler.messages import Job
from spooler.operations import PAGE


def sheet_of(context: Context) -> int:
    """Return the number by which records name the paper: 0 is the shared one."""
    return 0 if context.addresses["paper"] else context.index % 255 + 1


def page_printer(context: Context, paper: int) -> Callable[[Job, int], None]:
    """Return what prints one page of a job on the open file ``paper``; it raises ``OSError``.

    A page is printed whole or fails: what a full disk took of it is cut away again, unless others
    print on the same paper without a lock.
    """
    sheet, clock = sheet_of(context), context.clock
    alone = bool(sheet) or _guarded(context)

    def print_page(job: Job, number: int) -> None:
        text = job.letters.decode("ascii", "backslashreplace")
        line = f"[job {job.item:012x} page {number}/{job.pages}] {text}\n".encode()
        asked = clock()
        written = os.write(paper, line)
        if written < len(line):
            _finish(paper, line, written, alone=alone)
            written = len(line)
        cell = context.begin(PAGE, sheet, job.item, asked, asked, float(number))
        offset = os.lseek(paper, 0, os.SEEK_CUR)
        context.end(cell, float(job.pages), float(offset - written), float(written), 0.0, clock())

    return print_page


def _guarded(context: Context) -> bool:
    """Tell whether nobody else prints on the shared paper meanwhile."""
    kind = context.addresses["paper"]["lock"]["kind"]
    return bool(kinds.load(kinds.LOCKS, kind).EXCLUDES)


def _finish(paper: int, line: bytes, written: int, *, alone: bool) -> None:
    """Print the rest of a page; raises ``OSError`` where there is no room for it."""
    begun = os.lseek(paper, 0, os.SEEK_CUR) - written
    try:
        while written < len(line):
            # Only the next write says why this one was short.
            written += os.write(paper, line[written:])
    except OSError:
        if alone:
            os.ftruncate(paper, begun)
        raise
