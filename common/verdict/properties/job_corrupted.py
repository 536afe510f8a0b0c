"""What is taken or delivered is what somebody offered, whole."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from common.history.case import Case
from common.history.merge import Positions
from common.verdict.delivery import Traffic, traffic
from common.verdict.evidence import Result, finding, instance
from common.verdict.finding import Instance
from common.verdict.wording import many, number


def check(case: Case) -> Result:
    """Return the jobs whose body fails its checksum, or that nobody offered."""
    jobs = traffic(case)
    seen = np.sort(np.concatenate([jobs.takes, jobs.passes, jobs.deliveries]))
    spoiled = case.history.gather("v0", seen) != case.history.gather("v1", seen)
    bad = jobs.distinct(seen[spoiled | _unknown(case, jobs, seen)])
    measures = {"jobs_corrupted": len(bad)} if len(jobs.offers) else {}
    if not len(bad):
        return Result(measures=measures)
    cases = [_instance(case, jobs, int(bad[at])) for at in (0, 0, -1)]
    lead = f"{many(len(bad), 'job')} arrived that nobody had offered like that."
    found = finding("job_corrupted", len(bad), float(len(bad)), cases, lead)
    return Result([found], measures=measures)


def _unknown(case: Case, jobs: Traffic, seen: Positions) -> npt.NDArray[np.bool_]:
    """Tell which of ``seen`` are about a job that nobody offered.

    A process that was killed may have sent one job more than it recorded.
    """
    items = jobs.items(seen)
    unknown = ~np.isin(items, jobs.items(jobs.offers))
    if not unknown.any():
        return unknown
    offered = jobs.items(jobs.offers)
    for process in case.outcome.processes:
        if process.signal is not None:
            mine = offered[offered >> np.uint64(32) == process.index] & np.uint64(0xFFFFFFFF)
            following = int(mine.max(initial=0)) + 1
            unknown &= items != np.uint64(process.index << 32 | following)
    return unknown


def _instance(case: Case, jobs: Traffic, at: int) -> Instance:
    found = case.history.record(at)
    who, verb = case.process(at), case.history.operation(at).name
    name = case.job(found["item"])
    offer = jobs.first(found["item"], jobs.offers)
    if offer is None:
        sentence = f"{who} ({verb}, {case.place(at)}) got {name}, which nobody ever offered."
        return instance(case, 1.0, sentence, at)
    sentence = (
        f"{case.process(offer)} offered {name}; {who} ({verb}, {case.place(at)}) got it with the "
        f"checksum {number(found['v1'])} where {number(found['v0'])} was declared: its body is "
        f"not the one that was sent."
    )
    return instance(case, 1.0, sentence, offer, at)
