"""Does a paper hold what its printers recorded? Its pages, and how they differ from the records."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from common.history.case import Case
from common.history.merge import Positions
from common.verdict.wording import many

# Anywhere in a line: two processes that write at once may leave two beginnings on one.
PAGE = re.compile(r"\[job ([0-9a-f]{1,16}) page (\d{1,9})/\d+\]")


class Page(NamedTuple):
    """One page: its job, its number there, and the line (from 1) that it begins on."""

    item: int
    number: int
    line: int


def pages_of(lines: Sequence[str]) -> list[Page]:
    """Return the pages on a paper, from top to bottom."""
    return [
        # Records hold a job's name as a double.
        Page(int(float(int(found[1], 16))), int(found[2]), line)
        for line, text in enumerate(lines, start=1)
        for found in PAGE.finditer(text)
    ]


def unlike(case: Case, name: str, pages: Sequence[Page], recorded: Positions) -> list[str]:
    """Return a doubt if the paper called ``name`` does not hold what was ``recorded``.

    Each recorded page must stand there once, each job's in order. A printer that was cut off may
    have printed one page that it did not come to record.
    """
    printed = Counter((page.item, page.number) for page in pages)
    items = case.history.gather("item", recorded).tolist()
    numbers = case.history.gather("v0", recorded).astype(np.int64).tolist()
    wanted = Counter(zip(items, numbers, strict=True))
    missing, more = (wanted - printed).total(), (printed - wanted).total()
    cut_off = sum(process.phase != "done" for process in case.outcome.processes)
    # The copies of a job that was printed twice may lie in each other.
    backward = sum(
        one.item == next.item and one.number >= next.number and wanted[one.item, 1] == 1
        for one, next in pairwise(pages)
    )
    told = []
    if missing:
        told.append(f"{many(missing, 'page')} missing")
    if more > cut_off:
        told.append(f"{many(more, 'page')} that no record tells of")
    if backward:
        told.append(f"{many(backward, 'page')} out of order")
    return [f"{name} does not hold what was recorded: {', '.join(told)}"] if told else []
