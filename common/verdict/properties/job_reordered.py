"""A channel keeps its order: first in, first out for each sender, and urgent jobs first.

Only strict order counts: one thing came before another if it had ended before the other began.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from common.history.case import Case
from common.history.merge import Positions
from common.verdict.delivery import Traffic, traffic
from common.verdict.evidence import Result, finding, instance
from common.verdict.finding import Instance
from common.verdict.wording import many, span

NEVER = np.iinfo(np.int64).max


class Passages(NamedTuple):
    """The jobs that went through one channel: a column each, in the order of the history."""

    sent: Positions
    taken: Positions
    sender: npt.NDArray[np.int64]
    taker: npt.NDArray[np.int64]
    priority: npt.NDArray[np.int64]
    sent_left: npt.NDArray[np.int64]
    entered: npt.NDArray[np.int64]
    left: npt.NDArray[np.int64]

    def only(self, chosen: npt.NDArray[np.bool_]) -> Passages:
        """Return those that are ``chosen``."""
        return Passages(*(column[chosen] for column in self))


class Overtaking(NamedTuple):
    """A job that was taken before ``late``, which had a right to come first."""

    late_sent: int
    late_taken: int
    early_taken: int
    urgent: bool


def check(case: Case) -> Result:
    """Return the jobs that were overtaken by one that they should have preceded."""
    jobs = traffic(case)
    found: list[Overtaking] = []
    for channel in np.unique(case.history.objects[jobs.takes]).tolist():
        passages = _passages(case, jobs, channel)
        plan = case.channel(channel)
        apart = plan is not None and plan.per is not None
        for group in _groups(passages, apart):
            found.extend(_overtaken(group))
        # All are equal where the channel tells no priorities apart.
        if not apart:
            found.extend(_outranked(passages))
    measures = {"jobs_reordered": len(found)} if len(jobs.offers) else {}
    if not found:
        return Result(measures=measures)
    found.sort(key=lambda each: case.history.record(each.late_taken)["entered"])
    cases = [_instance(case, each) for each in (found[0], found[0], found[-1])]
    lead = f"{many(len(found), 'job')} came out of order."
    result = finding("job_reordered", len(found), float(len(found)), cases, lead)
    return Result([result], measures=measures)


def _passages(case: Case, jobs: Traffic, channel: int) -> Passages:
    """Match every job that was sent into a channel with the first taking of it from there."""
    history = case.history
    sent = np.sort(np.concatenate([jobs.offers, jobs.passes]))
    sent = sent[history.objects[sent] == channel]
    sent = np.sort(jobs.distinct(sent))
    taken = np.sort(jobs.distinct(jobs.takes[history.objects[jobs.takes] == channel]))
    _, at_sent, at_taken = np.intersect1d(
        jobs.items(sent), jobs.items(taken), assume_unique=True, return_indices=True
    )
    order = np.argsort(sent[at_sent])
    sent, at_taken = sent[at_sent][order], at_taken[order]
    priority = history.gather("v2", sent)
    levels = jobs.priorities(channel)
    priority = np.minimum(priority, levels - 1) if levels > 1 else np.zeros(len(sent))
    return Passages(
        sent,
        taken[at_taken],
        history.gather("process", sent).astype(np.int64),
        history.gather("process", taken)[at_taken].astype(np.int64),
        priority.astype(np.int64),
        history.gather("left", sent),
        history.gather("entered", taken)[at_taken],
        history.gather("left", taken)[at_taken],
    )


def _groups(passages: Passages, apart: bool) -> Iterator[Passages]:
    """Yield the jobs that must keep their order: one sender's, of one priority.

    Where each receiver has a channel of its own, ``apart``, also one receiver's.
    """
    takers = passages.taker if apart else np.zeros_like(passages.taker)
    keys = np.stack([passages.sender, takers, passages.priority])
    for key in np.unique(keys, axis=1).T:
        yield passages.only((keys == key[:, None]).all(axis=0))


def _overtaken(group: Passages) -> Iterator[Overtaking]:
    # The earliest end among all jobs sent later, for each job; positions ascend as jobs were sent.
    soonest = np.append(np.minimum.accumulate(group.left[::-1])[::-1][1:], NEVER)
    for late in np.flatnonzero(soonest < group.entered).tolist():
        early = late + 1 + int(np.argmax(group.left[late + 1 :] == soonest[late]))
        yield Overtaking(
            int(group.sent[late]), int(group.taken[late]), int(group.taken[early]), False
        )


def _outranked(passages: Passages) -> Iterator[Overtaking]:
    """Yield urgent jobs that waited in the channel while a less urgent one was taken."""
    for level in np.unique(passages.priority)[1:].tolist():
        urgent, others = passages.priority == level, passages.priority < level
        lesser = passages.only(others)
        order = np.argsort(lesser.entered)
        begins = lesser.entered[order]
        ends = np.append(np.minimum.accumulate(lesser.left[order][::-1])[::-1], NEVER)
        waiting = passages.only(urgent)
        start = np.searchsorted(begins, waiting.sent_left, side="right")
        for late in np.flatnonzero(ends[start] < waiting.entered).tolist():
            begin = int(start[late])
            early = int(order[begin + int(np.argmin(lesser.left[order[begin:]]))])
            yield Overtaking(
                int(waiting.sent[late]), int(waiting.taken[late]), int(lesser.taken[early]), True
            )


def _instance(case: Case, each: Overtaking) -> Instance:
    late, early = case.history.record(each.late_taken), case.history.record(each.early_taken)
    name, other = case.job(late["item"]), case.job(early["item"])
    by, channel = case.process(each.early_taken), case.place(each.early_taken)
    if each.urgent:
        waited = early["entered"] - case.history.record(each.late_sent)["left"]
        sentence = (
            f"{by} took {other} from {channel} though {name}, which is more urgent, had been "
            f"waiting there for {span(waited)}."
        )
    else:
        sentence = (
            f"{by} took {other} from {channel} before {name}, which {case.process(each.late_sent)} "
            f"had sent before it."
        )
    return instance(case, 1.0, sentence, each.late_sent, each.late_taken, each.early_taken)
