"""The pages of one job lie together on the paper: no other job's pages come between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from common.history.case import Case
from common.history.merge import Positions
from common.history.operations import Effect
from common.scenario.groups import PLAIN
from common.verdict.evidence import Result, finding, instance
from common.verdict.finding import Instance
from common.verdict.paper import Page, checksums, pages_of, unlike
from common.verdict.wording import many


class Run(NamedTuple):
    """Lines ``first`` to ``last`` (from 1) that belong to one job without interruption."""

    item: int
    first: int
    last: int


def check(case: Case) -> Result:
    """Return the jobs that lie on the shared paper in more pieces than they were printed times.

    A paper, shared or not, that does not hold what was recorded is a doubt.
    """
    pages = case.history.select(Effect.PAGE)
    if case.plan.paper is None:
        return Result(doubts=_own_papers(case, pages))
    if case.paper_lines is None:
        doubt = "the paper is missing: nothing says in which order its pages lie"
        return Result(doubts=[doubt] if len(pages) else [])
    printed = pages_of(case.paper_lines)
    cut_off = _cut_off(case, pages)
    doubts = unlike(case, "the paper", case.paper_lines, pages, checksums(case), cut_off, own=False)
    runs = runs_of(printed)
    pieces: dict[int, list[int]] = {}
    for number, run in enumerate(runs):
        pieces.setdefault(run.item, []).append(number)
    items = case.history.gather("item", pages)
    # A job that was printed twice, whole, lies there twice: that is job_duplicated's business.
    opening = items[case.history.gather("v0", pages) == 1]
    copies = dict(
        zip(*(each.tolist() for each in np.unique(opening, return_counts=True)), strict=True)
    )
    split = [item for item, found in pieces.items() if len(found) > max(1, copies.get(item, 1))]
    measures = {"jobs_interleaved": len(split)}
    if not split:
        return Result(doubts=doubts, measures=measures)
    worst = max(split, key=lambda item: len(pieces[item]))
    cases = [_instance(case, pages, runs, pieces[item]) for item in (split[0], worst, split[-1])]
    lie = "lies" if len(split) == 1 else "lie"
    lead = f"{many(len(split), 'job')} of {len(pieces):,} {lie} in pieces on the paper."
    found = finding("pages_interleaved", len(split), float(len(split)), cases, lead)
    return Result([found], doubts, measures)


def runs_of(pages: Sequence[Page]) -> list[Run]:
    """Return the contiguous runs of the pages on a paper, from top to bottom."""
    runs: list[Run] = []
    for page in pages:
        if runs and runs[-1].item == page.item:
            runs[-1] = runs[-1]._replace(last=page.line)
        else:
            runs.append(Run(page.item, page.line, page.line))
    return runs


def _own_papers(case: Case, pages: Positions) -> list[str]:
    """Compare the paper of each process that printed with its own records."""
    doubts = []
    given = checksums(case)
    cuts = np.searchsorted(pages, case.history.bounds).tolist()
    recorded = {
        process.name: pages[cuts[which] : cuts[which + 1]]
        for which, process in enumerate(case.history.processes)
    }
    nothing = np.empty(0, np.int64)
    for process in case.outcome.processes:
        if process.level == PLAIN:
            continue
        mine, lines = recorded.get(process.name, nothing), case.own_papers.get(process.name, [])
        doubts += unlike(
            case, f"the paper of {process.name}", lines, mine, given, process.phase != "done",
            own=True,
        )  # fmt: skip
    return doubts


def _cut_off(case: Case, pages: Positions) -> int:
    """Return how many of those that print were cut off: who never did so has their role."""
    names = {case.process(int(cut)) for cut in _firsts(case, pages)}
    every = case.outcome.processes
    roles = {process.role for process in every if process.name in names}
    return sum(each.phase != "done" and (each.role in roles or not roles) for each in every)


def _firsts(case: Case, pages: Positions) -> Positions:
    """Return the first of ``pages`` of each process that has one."""
    who = np.searchsorted(case.history.bounds, pages, side="right")
    return pages[np.unique(who, return_index=True)[1]]


def _instance(case: Case, pages: Positions, runs: list[Run], pieces: list[int]) -> Instance:
    before, after = runs[pieces[0]], runs[pieces[1]]
    between = runs[pieces[0] + 1 : pieces[1]]
    others = " and ".join(case.job(item) for item in dict.fromkeys(run.item for run in between))
    middle = Run(0, before.last + 1, after.first - 1)
    sentence = (
        f"{case.job(before.item)} lies in {len(pieces)} pieces on the paper: {_lines(before)} and "
        f"{_lines(after)} are its own, {_lines(middle)} between them "
        f"{'is' if middle.first == middle.last else 'are'} of {others}."
    )
    witnesses = [_page(case, pages, item) for item in (before.item, between[0].item)]
    return instance(case, 1.0, sentence, *witnesses)


def _lines(run: Run) -> str:
    return f"line {run.first}" if run.first == run.last else f"lines {run.first} to {run.last}"


def _page(case: Case, pages: Positions, item: int) -> int | None:
    of_item = pages[case.history.gather("item", pages) == item]
    return int(of_item[0]) if len(of_item) else None
