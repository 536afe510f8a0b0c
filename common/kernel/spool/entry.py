"""The name of a job's file: its place in line, which job it is, and what has been tried.

It stands in the name because a rename changes it together with the state, or neither.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from common import names
from common.kernel.spool import LARGEST_PRIORITY

# rank - line - job - claims - failures, and behind an @ what only this state has.
_NAME = re.compile(r"(\d{2})-(\d{15})-([0-9a-f]{1,16})-(\d{1,9})-(\d{1,9})(?:@([0-9.]{1,40}))?")

FIRST_IN_LINE = 0


class Entry(NamedTuple):
    """A job in the spool.

    The least ``rank``, and then the least ``line``, is printed first. ``claims`` counts how often
    a printer took it, ``failures`` how often printing it failed. ``tail`` is the printer's
    pid.start while it is processing, when it is to be released (CLOCK_MONOTONIC ns) while it is
    held for a time only, else "".
    """

    state: str
    rank: int
    line: int
    item: int
    claims: int = 0
    failures: int = 0
    tail: str = ""

    @property
    def path(self) -> str:
        """Where its file lies, from the spool's directory."""
        tail = f"@{self.tail}" if self.tail else ""
        return (
            f"{self.state}/{self.rank:02d}-{self.line:015d}-{self.item:x}"
            f"-{self.claims}-{self.failures}{tail}"
        )

    @property
    def place(self) -> tuple[int, int]:
        """Its place in line."""
        return self.rank, self.line


def parse(path: str) -> Entry | None:
    """Return the job that lies at ``path`` ("STATE/NAME"); None for what is none of ours."""
    state, _, name = path.partition("/")
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    rank, line, item, claims, failures, tail = found.groups()
    return Entry(state, int(rank), int(line), int(item, 16), int(claims), int(failures), tail or "")


def rank_of(priority: int) -> int:
    """Return the rank of a priority (0 normal, 9 the most urgent)."""
    return LARGEST_PRIORITY + 1 - priority


def own_tail() -> str:
    """Return how this process names itself as the printer of a job: pid and start time."""
    pid = os.getpid()
    return f"{pid}.{names.start_time(pid)}"


def pid_of(tail: str) -> int:
    """Return the pid in a printer's tail."""
    return int(tail.partition(".")[0])


def dead(tail: str) -> bool:
    """Tell whether the printer of this tail has ended: its pid alone may be another's by now."""
    pid, _, start = tail.partition(".")
    return str(names.start_time(int(pid))) != start
