"""Prints pages on a process's own paper, or on one that it shares, and records each."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import NamedTuple

from common import kinds
from common.process.context import Context
from spooler.messages import Job
from spooler.operations import PAGE

# A page as it stands on a paper: which job's, and which of how many.
_PAGE = re.compile(rb"\[job ([0-9a-f]{1,16}) page (\d{1,9})/(\d{1,9})\] ")


class Page(NamedTuple):
    """The ``number``-th of the ``pages`` of job ``item``."""

    item: int
    number: int
    pages: int


def sheet_of(context: Context) -> int:
    """Return the number by which records name the paper: 0 is the shared one."""
    return 0 if context.addresses["paper"] else context.index % 255 + 1


def page_text(job: Job, number: int) -> bytes:
    """Return a page of a job as it stands on the paper: one line."""
    text = job.letters.decode("ascii", "backslashreplace")
    return f"[job {job.item:012x} page {number}/{job.pages}] {text}\n".encode()


def page_printer(context: Context, paper: int) -> Callable[[Job, int], None]:
    """Return what prints one page of a job on the open file ``paper``; it raises ``OSError``.

    A page is printed whole or fails: what a full disk took of it is cut away again, unless others
    print on the same paper without a lock.
    """
    put = _line_putter(context, paper)

    def print_page(job: Job, number: int) -> None:
        put(page_text(job, number), Page(job.item, number, job.pages))

    return print_page


def line_printer(context: Context, paper: int) -> Callable[[bytes], Page | None]:
    """Return what prints one line, as ``page_printer`` does a page, whatever stands on it.

    It returns the page that the line is, which is recorded; None for a line that is none.
    """
    put = _line_putter(context, paper)

    def print_line(line: bytes) -> Page | None:
        found = _PAGE.match(line)
        page = Page(int(found[1], 16), int(found[2]), int(found[3])) if found else None
        put(line, page)
        return page

    return print_line


def _line_putter(context: Context, paper: int) -> Callable[[bytes, Page | None], None]:
    sheet, clock = sheet_of(context), context.clock
    alone = bool(sheet) or _guarded(context)

    def put(line: bytes, page: Page | None) -> None:
        asked = clock()
        written = os.write(paper, line)
        if written < len(line):
            _finish(paper, line, written, alone=alone)
            written = len(line)
        if page is None:
            return
        cell = context.begin(PAGE, sheet, page.item, asked, asked, float(page.number))
        offset = os.lseek(paper, 0, os.SEEK_CUR)
        context.end(cell, float(page.pages), float(offset - written), float(written), 0.0, clock())

    return put


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
