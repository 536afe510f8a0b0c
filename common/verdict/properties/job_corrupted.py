"""What is taken or delivered is what somebody offered, whole, and not before that."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from common.history.case import Case
from common.history.merge import Positions
from common.verdict.delivery import Items, Traffic, earliest, lookup, traffic
from common.verdict.evidence import Result, finding, instance
from common.verdict.finding import Instance
from common.verdict.spool import moving
from common.verdict.wording import many, number, span

Flags = npt.NDArray[np.bool_]
NEVER = np.iinfo(np.int64).max


def check(case: Case) -> Result:
    """Return the jobs that came from nowhere, too early, or not as they had been offered.

    A body fails the checksum that came with it, or that is not the one that was offered. In a spool
    a job's state must come about as it may (:mod:`common.verdict.spool.moving`).
    """
    if case.spool is not None:
        return _joined(case, _bodies(case), moving.illegal(case))
    return _bodies(case)


def _joined(case: Case, bodies: Result, told: list[Instance]) -> Result:
    """Return both: the bodies that are wrong, and the moves that are."""
    bodies.measures["jobs_moved_wrongly"] = len(told)
    if told:
        lead = f"{many(len(told), 'move')} of jobs in the spool cannot be."
        cases = (told[0], told[0], told[-1])
        bodies.findings.append(finding("job_corrupted", len(told), float(len(told)), cases, lead))
    return bodies


def _bodies(case: Case) -> Result:
    jobs = traffic(case)
    gather = case.history.gather
    seen = np.sort(np.concatenate([jobs.takes, jobs.passes, jobs.deliveries]))
    measures = {"jobs_corrupted": 0} if len(jobs.offers) else {}
    if not len(seen):
        return Result(measures=measures)
    items, declared = jobs.items(seen), gather("v0", seen)
    bad = declared != gather("v1", seen)
    offers, offered = _offered(jobs)
    at, known = lookup(offers, items)
    bad[known] |= declared[known] != offered[at[known]]
    if not known.all():
        bad |= ~known & ~_unrecorded(case, offers, items) & ~_of_before(case, items)
    bad[np.searchsorted(seen, _early(jobs))] = True
    spoiled = jobs.distinct(seen[bad])
    if not len(spoiled):
        return Result(measures=measures)
    if measures:
        measures["jobs_corrupted"] = len(spoiled)
    cases = [_instance(case, jobs, int(spoiled[at])) for at in (0, 0, -1)]
    lead = f"{many(len(spoiled), 'job')} arrived that nobody had offered like that."
    found = finding("job_corrupted", len(spoiled), float(len(spoiled)), cases, lead)
    return Result([found], measures=measures)


def _offered(jobs: Traffic) -> tuple[Items, npt.NDArray[np.float64]]:
    """Return the jobs that were offered, ascending, and the checksum that each was given."""
    items, firsts = np.unique(jobs.items(jobs.offers), return_index=True)
    checksums = jobs.case.history.gather("v0", jobs.offers)
    return items, checksums[firsts]


def _unrecorded(case: Case, offers: Items, items: Items) -> Flags:
    """Tell which of ``items`` a process may have sent and not come to record.

    That is one that was killed, or that failed: a send may fail after the job was placed. Whom
    nobody answers counts that job as ``unaccepted``: so many may have come all the same.
    """
    may = np.zeros(len(items), np.bool_)
    for process in case.outcome.processes:
        unaccepted = process.summary.get("unaccepted", 0)
        if isinstance(unaccepted, int) and unaccepted:
            unknown = (items >> np.uint64(32) == process.index) & ~np.isin(items, offers)
            if len(np.unique(items[unknown])) <= unaccepted:
                may |= unknown
        if process.signal is not None or process.error is not None:
            mine = offers[offers >> np.uint64(32) == process.index] & np.uint64(0xFFFFFFFF)
            following = int(mine.max(initial=0)) + 1
            may |= items == np.uint64(process.index << 32 | following)
    return may


def _of_before(case: Case, items: Items) -> Flags:
    """Tell which of ``items`` lay in the spool when the run began: another run has their offers."""
    lines = [] if case.spool is None else case.spool.lines
    there = [line["job"] for line in lines if line.get("why") == "found" and not line.get("from")]
    return np.isin(items, np.array(there, np.uint64))


def _early(jobs: Traffic) -> Positions:
    """Return the takes that were over before anybody began to put the job into that channel.

    Intervals are closed: at equal stamps it may just have been there.
    """
    if jobs.silenced():
        return np.empty(0, np.int64)
    history = jobs.case.history
    puts, (offers, _) = np.sort(np.concatenate([jobs.offers, jobs.passes])), _offered(jobs)
    found = []
    for channel in np.unique(history.objects[jobs.takes]).tolist():
        takes = jobs.takes[history.objects[jobs.takes] == channel]
        items = jobs.items(takes)
        takes = takes[~(_of_before(jobs.case, items) | _unrecorded(jobs.case, offers, items))]
        here = puts[history.objects[puts] == channel]
        known, begun = earliest(jobs.items(here), history.gather("entered", here))
        at, there = lookup(known, jobs.items(takes))
        # Where nobody put it, no time is late enough.
        began = np.where(there, np.append(begun, NEVER)[at], NEVER)
        found.append(takes[history.gather("left", takes) < began])
    return np.concatenate([np.empty(0, np.int64), *found])


def _instance(case: Case, jobs: Traffic, at: int) -> Instance:
    found = case.history.record(at)
    who, verb = case.process(at), case.history.operation(at).name
    name = case.job(found["item"])
    offer = jobs.first(found["item"], jobs.offers)
    got = f"{who} ({verb}, {case.place(at)}) got"
    if offer is None:
        return instance(case, 1.0, f"{got} {name}, which nobody ever offered.", at)
    start, given = f"{case.process(offer)} offered {name}", case.history.record(offer)["v0"]
    if found["v0"] != found["v1"]:
        sentence = (
            f"{start}; {got} it with the checksum {number(found['v1'])} where "
            f"{number(found['v0'])} was declared: its body is not the one that was sent."
        )
        return instance(case, 1.0, sentence, offer, at)
    if found["v0"] != given:
        sentence = (
            f"{start} with the checksum {number(given)}; {got} it with {number(found['v0'])}: "
            f"another body came under its name."
        )
        return instance(case, 1.0, sentence, offer, at)
    puts = [*jobs.of(found["item"], jobs.offers), *jobs.of(found["item"], jobs.passes)]
    here = [put for put in puts if case.history.objects[put] == found["object"]]
    if not here:
        sentence = f"{start} to {case.place(offer)}; {got} it, and nobody ever put it there."
        return instance(case, 1.0, sentence, offer, at)
    put = min(here, key=lambda each: case.history.record(each)["entered"])
    ahead = span(case.history.record(put)["entered"] - found["left"])
    sentence = f"{got} {name} {ahead} before {case.process(put)} began to put it there."
    return instance(case, 1.0, sentence, at, put)
