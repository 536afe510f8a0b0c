"""Nobody waits for a lock for long while others get it again and again.

A lock that excludes may still be unfair: bounded waiting is a property of its own (Dijkstra's
problem as Knuth put it in 1966; Peterson and Silberschatz's third condition). The bound here is
one wait of ``deadlines.starvation`` seconds in which others got the lock a hundred times.
"""

from __future__ import annotations

import numpy as np

from common.history.case import Case
from common.verdict.evidence import Result, finding, instance
from common.verdict.finding import Instance
from common.verdict.lock_waits import Wait, name, overtaken, overtakers, waits
from common.verdict.spool import idling
from common.verdict.wording import many, number, span

# So often others must have got the lock: who waits behind a few slow ones is not starved.
OVERTAKEN = 100


def check(case: Case) -> Result:
    """Return the waits that were too long, with who overtook; and jobs that waited for nothing.

    The measures hold the longest wait for a lock: ``process``, ``lock``, ``wait_s``, ``overtaken``
    (how often others got the lock meanwhile) and ``got_it``; None where nobody waited.
    """
    result = _of_locks(case)
    told = idling.idled(case) if case.spool is not None else []
    if told:
        worst = max(told, key=lambda each: each.amount)
        lead = f"{many(len(told), 'job')} waited in the spool while a printer was free."
        total = sum(each.amount for each in told)
        cases = (told[0], worst, told[-1])
        result.findings.append(finding("starvation", len(told), total, cases, lead))
    return result


def _of_locks(case: Case) -> Result:
    least = round(case.plan.deadlines.starvation * 1e9)
    found = waits(case, least)
    if not found:
        return Result(measures={"longest_wait": None})
    longest = found[0]
    measures = {
        "longest_wait": {
            "process": longest.process,
            "lock": name(case, longest.lock),
            "wait_s": longest.length / 1e9,
            "overtaken": sum(overtakers(case, longest).values()),
            "got_it": longest.position is not None,
        }
    }
    # In a circle of waits nobody is overtaken: that finding is another.
    long = [wait for wait in found if wait.length >= least]
    often = overtaken(case, long) >= OVERTAKEN
    starved = sorted((long[at] for at in np.flatnonzero(often)), key=lambda wait: wait.asked)
    if not starved:
        return Result(measures=measures)
    worst = max(starved, key=lambda wait: wait.length)
    total = sum(wait.length for wait in starved) / 1e9
    lead = f"{many(len(starved), 'wait')} for a lock went on while others got it again and again."
    cases = [
        _instance(case, each, overtakers(case, each)) for each in (starved[0], worst, starved[-1])
    ]
    found_here = finding("starvation", len(starved), total, cases, lead)
    return Result([found_here], measures=measures)


def _instance(case: Case, wait: Wait, others: dict[str, int]) -> Instance:
    overtaken = sum(others.values())
    often = next(iter(others))
    most = f", {often} alone {number(others[often])} times" if len(others) > 1 else ""
    who = f"{often} got it" if len(others) == 1 else "the others got it"
    end = "" if wait.position is not None else ", and never got it"
    sentence = (
        f"{wait.process} waited {span(wait.length)} for {name(case, wait.lock)}{end}; meanwhile "
        f"{who} {number(overtaken)} times{most}: the lock goes to whoever comes in time, not to "
        f"whoever has waited longest."
    )
    return instance(case, wait.length / 1e9, sentence, wait.position)
