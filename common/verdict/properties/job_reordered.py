"""A channel keeps its order: first in, first out, and urgent jobs first.

Only strict order counts: one thing came before another if it had ended before the other began, or
if one process did both. What stands in one line is told by the channel: the jobs of each priority,
and where each receiver has a queue of its own, or reads ahead of what it takes (a FIFO with
``batch``), those of each receiver; where each sender has a connection, those of each sender.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from common.history.case import Case
from common.history.merge import Positions
from common.verdict.delivery import Traffic, traffic
from common.verdict.evidence import Result, finding, instance
from common.verdict.finding import Instance
from common.verdict.queue_calls import APART
from common.verdict.spool import moving
from common.verdict.wording import many, span

NEVER = np.iinfo(np.int64).max
Integers = npt.NDArray[np.int64]


class Passages(NamedTuple):
    """The jobs that went through one channel: a column each, in the order of the history.

    ``once`` is 0 for a job that was put there more than once: nobody knows which copy was taken.
    """

    sent: Positions
    taken: Positions
    sender: Integers
    taker: Integers
    priority: Integers
    sent_entered: Integers
    sent_left: Integers
    entered: Integers
    left: Integers
    once: Integers

    def only(self, chosen: npt.NDArray[np.bool_] | Integers) -> Passages:
        """Return those that are ``chosen``."""
        return Passages(*(column[chosen] for column in self))


class Overtakings(NamedTuple):
    """Jobs that had a right to come first, and for each one that was taken before it.

    ``urgent`` is 1 if the reason is its priority.
    """

    late_sent: Positions
    late_taken: Positions
    entered: Integers
    early_sent: Positions
    early_taken: Positions
    urgent: Integers


def check(case: Case) -> Result:
    """Return the jobs that were overtaken by one that they should have preceded."""
    if case.spool is not None:
        return moving.reordered(case)
    jobs = traffic(case)
    parts: list[Overtakings] = []
    for channel in np.unique(case.history.objects[jobs.takes]).tolist():
        passages = _passages(case, jobs, channel)
        plan = case.channel(channel)
        ahead = plan is not None and bool(plan.part.options.get("batch"))
        apart = jobs.own(channel) or ahead
        mixed = not jobs.one_line(channel)
        found = [each for line in _lines(passages, apart, mixed) for each in _overtaken(line)]
        # All are equal where the channel tells no priorities apart.
        if not apart:
            found.extend(_outranked(passages, plan is not None and plan.part.kind not in APART))
        parts.append(_each_once(found))
    every = _joined(parts)
    count = len(every.late_sent)
    measures = {"jobs_reordered": count} if len(jobs.offers) else {}
    if not count:
        return Result(measures=measures)
    first, last = int(np.argmin(every.entered)), count - 1 - int(np.argmax(every.entered[::-1]))
    cases = [_instance(case, every, at) for at in (first, first, last)]
    lead = f"{many(count, 'job')} came out of order."
    result = finding("job_reordered", count, float(count), cases, lead)
    return Result([result], measures=measures)


def _passages(case: Case, jobs: Traffic, channel: int) -> Passages:
    """Match every job that was sent into a channel with the first taking of it from there."""
    history = case.history
    every = np.sort(np.concatenate([jobs.offers, jobs.passes]))
    every = every[history.objects[every] == channel]
    sent = np.sort(jobs.distinct(every))
    taken = np.sort(jobs.distinct(jobs.takes[history.objects[jobs.takes] == channel]))
    _, at_sent, at_taken = np.intersect1d(
        jobs.items(sent), jobs.items(taken), assume_unique=True, return_indices=True
    )
    order = np.argsort(sent[at_sent])
    sent, at_taken = sent[at_sent][order], at_taken[order]
    priority = history.gather("v2", sent)
    levels = jobs.priorities(channel)
    priority = np.clip(priority, 0, levels - 1) if levels > 1 else np.zeros(len(sent))
    items, counts = np.unique(jobs.items(every), return_counts=True)
    return Passages(
        sent,
        taken[at_taken],
        history.gather("process", sent).astype(np.int64),
        history.gather("process", taken)[at_taken].astype(np.int64),
        priority.astype(np.int64),
        history.gather("entered", sent),
        history.gather("left", sent),
        history.gather("entered", taken)[at_taken],
        history.gather("left", taken)[at_taken],
        (counts[np.searchsorted(items, jobs.items(sent))] == 1).astype(np.int64),
    )


def _lines(passages: Passages, apart: bool, mixed: bool) -> Iterator[Passages]:
    """Yield the jobs that must keep their order: those of one priority.

    Where receivers are ``apart``, only one receiver's; where senders are ``mixed``, in connections
    of their own, only one sender's.
    """
    anybody = np.zeros_like(passages.taker)
    takers, senders = passages.taker if apart else anybody, passages.sender if mixed else anybody
    keys = np.stack([takers, senders, passages.priority])
    for key in np.unique(keys, axis=1).T:
        yield passages.only((keys == key[:, None]).all(axis=0))


def _overtaken(line: Passages) -> Iterator[Overtakings]:
    """Yield the jobs of a line that were put there before another, and taken after it.

    Before is what the same process did earlier, or what was over when the other began.
    """
    anybody = np.zeros_like(line.sender)
    puts = ((line.sender, line.sent, line.sent), (anybody, line.sent_left, line.sent_entered))
    takes = ((line.taker, line.taken, line.taken), (anybody, line.entered, line.left))
    for (sender, since, begun), (taker, until, ended) in itertools.product(puts, takes):
        _, group = np.unique(sender << 16 | taker, return_inverse=True)
        pairs = _passed(*_apart(group, since, begun), *_apart(group, until, ended))
        yield _pairs(line, line, *pairs, urgent=0)


def _apart(group: Integers, one: Integers, other: Integers) -> tuple[Integers, Integers]:
    """Return both stamps such that all of a group come after all of the groups before it."""
    base = min(one.min(), other.min())
    shift = group * (max(one.max(), other.max()) + 1 - base) - base
    return one + shift, other + shift


def _outranked(passages: Passages, at_once: bool) -> Iterator[Overtakings]:
    """Yield urgent jobs that waited in the channel while a less urgent one was taken.

    Where one look sees all priorities, ``at_once``, nobody took a job before it was put there.
    """
    began = passages.entered
    if at_once:
        began = np.where(passages.once, np.maximum(began, passages.sent_entered), began)
    passages = passages._replace(entered=began)
    for level in np.unique(passages.priority)[1:].tolist():
        waiting = passages.only(passages.priority == level)
        lesser = passages.only(passages.priority < level)
        pairs = _passed(waiting.sent_left, lesser.entered, waiting.entered, lesser.left)
        yield _pairs(waiting, lesser, *pairs, urgent=1)


def _passed(
    since: Integers, begun: Integers, until: Integers, ended: Integers
) -> tuple[Integers, Integers]:
    """Return who waited while another came and went: pairs of places, one for each who waited.

    The first waited ``since`` one moment ``until`` another; the second had ``begun`` after the one
    and ``ended`` before the other.
    """
    order = np.argsort(begun, kind="stable")
    begun, ended = begun[order], ended[order]
    soonest = np.minimum.accumulate(ended[::-1])[::-1]
    # Where the soonest end from each place on is.
    places = np.where(ended == soonest, np.arange(len(ended)), len(ended))
    places = np.minimum.accumulate(places[::-1])[::-1]
    start = np.searchsorted(begun, since, side="right")
    late = np.flatnonzero(np.append(soonest, NEVER)[start] < until)
    return late, order[places[start[late]]]


def _pairs(
    waiting: Passages, others: Passages, late: Integers, early: Integers, *, urgent: int
) -> Overtakings:
    sure = waiting.once[late] == 1
    late, early = late[sure], early[sure]
    return Overtakings(
        waiting.sent[late],
        waiting.taken[late],
        waiting.entered[late],
        others.sent[early],
        others.taken[early],
        np.full(len(late), urgent),
    )


def _joined(parts: list[Overtakings]) -> Overtakings:
    nothing = Overtakings(*[np.empty(0, np.int64)] * len(Overtakings._fields))
    return Overtakings(*map(np.concatenate, zip(nothing, *parts, strict=True)))


def _each_once(found: list[Overtakings]) -> Overtakings:
    """Return each job that was overtaken with the first reason found for it."""
    every = _joined(found)
    _, firsts = np.unique(every.late_sent, return_index=True)
    return Overtakings(*(column[firsts] for column in every))


def _instance(case: Case, every: Overtakings, at: int) -> Instance:
    late_sent, late_taken, _, early_sent, early_taken, urgent = (int(each[at]) for each in every)
    record = case.history.record
    name, other = case.job(record(late_taken)["item"]), case.job(record(early_taken)["item"])
    sender, rival = case.process(late_sent), case.process(early_sent)
    took = f"{case.process(early_taken)} took {other} from {case.place(early_taken)}"
    if urgent:
        taken = max(record(early_taken)["entered"], record(early_sent)["entered"])
        waited = span(taken - record(late_sent)["left"])
        sentence = (
            f"{took} though {name}, which is more urgent, had been waiting there for {waited}."
        )
        return instance(case, 1.0, sentence, late_sent, late_taken, early_taken)
    if sender == rival:
        sentence = f"{took} before {name}, which {sender} had sent before it."
        return instance(case, 1.0, sentence, late_sent, late_taken, early_taken)
    ahead = span(record(early_sent)["entered"] - record(late_sent)["left"])
    sentence = f"{took} before {name}, which {sender} had sent {ahead} before {rival} began to."
    return instance(case, 1.0, sentence, late_sent, early_sent, early_taken, late_taken)
