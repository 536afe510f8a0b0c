"""No job is delivered, or taken from the same channel, more than once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from common.history.case import Case
from common.history.merge import Positions
from common.verdict.delivery import Items, Traffic, traffic
from common.verdict.evidence import Result, finding, instance
from common.verdict.finding import Instance
from common.verdict.wording import many


def check(case: Case) -> Result:
    """Return the jobs of which there are too many; the amount of each is its extra copies."""
    jobs = traffic(case)
    extras: dict[int, int] = {}
    objects = case.history.objects[jobs.takes]
    groups = [jobs.deliveries, *(jobs.takes[objects == one] for one in np.unique(objects))]
    for group in groups:
        for item, count in _repeated(jobs.items(group)):
            if not item:
                # What an empty slot holds is no job: job_corrupted tells of it.
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


def _repeated(items: Items) -> list[tuple[int, int]]:
    values, counts = np.unique(items, return_counts=True)
    again: npt.NDArray[np.bool_] = counts > 1
    return list(zip(values[again].tolist(), counts[again].tolist(), strict=True))


def _second_copies(jobs: Traffic, items: Items) -> dict[int, int]:
    """Return for each item the latest record that took or delivered it."""
    every = np.sort(np.concatenate([jobs.takes, jobs.deliveries]))
    chosen: Positions = every[np.isin(jobs.items(every), items)]
    left = jobs.case.history.gather("left", chosen)
    order = np.argsort(left, kind="stable")
    # Later entries overwrite earlier ones.
    return dict(zip(jobs.items(chosen)[order].tolist(), chosen[order].tolist(), strict=True))


def _instance(case: Case, jobs: Traffic, item: int, extra: int) -> Instance:
    ends = jobs.of(item, jobs.deliveries)
    printers = dict.fromkeys(f"{case.process(at)} on {case.place(at)}" for at in ends)
    deliveries = " and ".join(printers)
    takes = jobs.of(item, jobs.takes)
    places = [int(case.history.objects[at]) for at in takes]
    twice = [at for at, place in zip(takes, places, strict=True) if places.count(place) > 1][:2]
    taken = ""
    if len(twice) == 2:
        who = [case.process(at) for at in twice]
        both = f"{who[0]} took it twice" if who[0] == who[1] else f"{who[0]} and {who[1]} took it"
        taken = f"{both} from {case.place(twice[0])}"
    delivered = f"it was delivered {len(ends)} times, by {deliveries}" if len(ends) > 1 else ""
    story = "; ".join(part for part in (taken, delivered) if part)
    sentence = f"{case.job(item)} was offered once: {story}."
    offer = jobs.first(item, jobs.offers)
    return instance(case, float(extra), sentence, offer, *twice, *ends[:2])
