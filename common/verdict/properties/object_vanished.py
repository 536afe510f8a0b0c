"""No kernel object is removed from outside while the run uses it."""

from __future__ import annotations

from common.history.case import Case
from common.verdict.evidence import Result, finding
from common.verdict.finding import Instance


def removed_on_purpose(case: Case) -> bool:
    """Tell whether a fault of the scenario took an object away, or cut it."""
    return any(fault["kind"] in ("remove", "replace", "truncate") for fault in case.outcome.faults)


def check(case: Case) -> Result:
    """Return the processes that found an object gone."""
    every = [
        Instance(1.0, f"{process.name} could not go on: {process.error['message']}.")
        for process in case.outcome.processes
        if process.error is not None and process.error["kind"] == "ObjectVanished"
    ]
    if case.outcome.vanished is not None:
        every.append(Instance(1.0, f"The launcher could not go on: {case.outcome.vanished}."))
    if not every:
        return Result()
    lead = "An object was removed while the run needed it."
    if removed_on_purpose(case):
        lead = "The scenario's own fault removed an object while the run needed it."
    cases = (every[0], every[0], every[-1])
    return Result([finding("object_vanished", len(every), float(len(every)), cases, lead)])
