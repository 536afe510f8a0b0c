"""Did each process have what it gave away? Who prints a job or hands it on must have taken it.

A channel only sees what goes in and comes out: what happens between two channels is in no line.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from common.history.case import Case
from common.history.merge import Positions
from common.verdict.delivery import Traffic, earliest, lookup, traffic
from common.verdict.wording import many

NEVER = np.iinfo(np.int64).max


def check(case: Case) -> list[str]:
    """Return a doubt for each process that printed or handed on jobs that it had not taken.

    Intervals are closed: what was taken at the stamp at which it was handed on had been taken. An
    answer is no such thing: it comes to its receiver as it is.
    """
    jobs, history = traffic(case), case.history
    papers = [code for code, each in history.operations.items() if each.place == "paper"]
    printed = jobs.deliveries[np.isin(history.codes[jobs.deliveries], papers)]
    given = np.sort(np.concatenate([printed, jobs.passes]))
    if not len(given):
        return []
    doubts = []
    for begin, end in pairwise(history.bounds):
        mine = (each[slice(*np.searchsorted(each, (begin, end)))] for each in (jobs.takes, given))
        strange = _untaken(jobs, *mine)
        if len(strange):
            doubts.append(_doubt(case, strange))
    return doubts


def _untaken(jobs: Traffic, takes: Positions, given: Positions) -> Positions:
    """Return those of ``given`` whose job the same process began to take only later, or never."""
    gather = jobs.case.history.gather
    known, begun = earliest(jobs.items(takes), gather("entered", takes))
    at, there = lookup(known, jobs.items(given))
    taken = np.where(there, np.append(begun, NEVER)[at], NEVER)
    strange: Positions = given[taken > gather("left", given)]
    return strange


def _doubt(case: Case, strange: Positions) -> str:
    first = int(strange[0])
    found, name = case.history.record(first), case.history.operation(first).name
    return (
        f"{case.process(first)} gave away {many(len(strange), 'job')} that it had not taken; the "
        f"first is {case.job(found['item'])}, by {name} {found['seq']:,} ({case.place(first)})"
    )
