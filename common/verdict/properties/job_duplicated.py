"""No job is delivered, taken from the same queue, or handed on to it, more than once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from common.history.case import Case
from common.history.merge import Positions
from common.verdict.delivery import Items, Traffic, traffic
from common.verdict.evidence import Result, finding, instance
from common.verdict.finding import Instance
from common.verdict.spool import keeping
from common.verdict.wording import many


def check(case: Case) -> Result:
    """Return the jobs of which there are too many; the amount of each is its extra copies."""
    if case.spool is not None:
        return keeping.duplicated(case)
    jobs = traffic(case)
    extras: dict[int, int] = {}
    offered = set(jobs.items(jobs.offers).tolist())
    groups: list[tuple[Positions, npt.NDArray[Any]]] = [
        (jobs.deliveries, np.zeros(len(jobs.deliveries), np.int64)),
        (jobs.takes, jobs.sources(jobs.takes)),
        (jobs.passes, case.history.objects[jobs.passes]),
    ]
    for group, places in groups:
        if not len(group):
            continue
        for item, count in _repeated(jobs.items(group), places):
            if item not in offered:
                # What an empty slot or a torn message holds is no job: job_corrupted tells of it.
                continue
            extras[item] = max(extras.get(item, 0), count - 1)
    measures = {"jobs_duplicated": len(extras)} if len(jobs.offers) else {}
    if not extras:
        return Result(measures=measures)
    copies = _second_copies(jobs, np.array(list(extras), dtype=np.uint64))
    order = sorted(copies, key=lambda item: case.history.record(copies[item])["left"])
    worst = max(order, key=lambda item: extras[item])
    cases = [_instance(case, jobs, item, extras[item]) for item in (order[0], worst, order[-1])]
    total = float(sum(extras.values()))
    lead = f"{many(len(extras), 'job')} came more than once."
    return Result([finding("job_duplicated", len(extras), total, cases, lead)], measures=measures)


def _repeated(items: Items, places: npt.NDArray[Any]) -> list[tuple[int, int]]:
    """Return which of ``items`` are more than once at one of their places, and how often."""
    order = np.lexsort((places, items))
    items, places = items[order], places[order]
    other = (items[1:] != items[:-1]) | (places[1:] != places[:-1])
    starts = np.flatnonzero(np.append(len(items) > 0, other))
    counts = np.diff(np.append(starts, len(items)))
    again: npt.NDArray[np.bool_] = counts > 1
    return list(zip(items[starts][again].tolist(), counts[again].tolist(), strict=True))


def _second_copies(jobs: Traffic, items: Items) -> dict[int, int]:
    """Return for each item the latest record that took it, handed it on or delivered it."""
    every = np.sort(np.concatenate([jobs.takes, jobs.passes, jobs.deliveries]))
    chosen: Positions = every[np.isin(jobs.items(every), items)]
    left = jobs.case.history.gather("left", chosen)
    order = np.argsort(left, kind="stable")
    # Later entries overwrite earlier ones.
    return dict(zip(jobs.items(chosen)[order].tolist(), chosen[order].tolist(), strict=True))


def _instance(case: Case, jobs: Traffic, item: int, extra: int) -> Instance:
    ends = jobs.of(item, jobs.deliveries)
    printers = dict.fromkeys(f"{case.process(at)} on {case.place(at)}" for at in ends)
    deliveries = " and ".join(printers)
    taken = _twice(jobs.of(item, jobs.takes), jobs.sources)
    passed = _twice(jobs.of(item, jobs.passes), lambda passes: case.history.objects[passes])
    delivered = f"it was delivered {len(ends)} times, by {deliveries}" if len(ends) > 1 else ""
    parts = (_told(case, taken, "took it", "from"), _told(case, passed, "handed it on", "to"))
    # Who took it twice also handed it on twice: that is no news.
    work = jobs.done_by(item, set(map(case.process, taken)))
    done = f"it was done {len(work)} times in {case.place(work[0])}" if len(work) > 1 else ""
    story = "; ".join(part for part in (parts[0] or parts[1], done, delivered) if part)
    sentence = f"{case.job(item)} was offered once: {story}."
    offer = jobs.first(item, jobs.offers)
    witnesses = (*(taken or passed), *work[:2], *ends[:2])
    return instance(case, float(extra), sentence, offer, *witnesses)


def _twice(records: list[int], place: Callable[[Positions], npt.NDArray[Any]]) -> list[int]:
    """Return the first two of ``records`` at the first place that has more than one of them."""
    places = place(np.array(records, np.int64)).tolist()
    first = next((each for each in places if places.count(each) > 1), None)
    return [at for at, each in zip(records, places, strict=True) if each == first][:2]


def _told(case: Case, twice: list[int], done: str, way: str) -> str:
    """Tell who did the same thing with the same job; "" when nobody did."""
    if not twice:
        return ""
    one, other = map(case.process, twice)
    who = f"{one} {done} twice" if one == other else f"{one} and {other} {done}"
    return f"{who} {way} {case.place(twice[0])}"
