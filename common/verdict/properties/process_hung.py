"""Every phase and every wait ends before its deadline."""

from __future__ import annotations

from common.history.case import Case
from common.verdict.evidence import Result, finding
from common.verdict.finding import Instance


def check(case: Case) -> Result:
    """Return the processes that a deadline caught, with what each was waiting for.

    Of a lock the launcher says who had it.
    """
    every: list[Instance] = []
    for process in case.outcome.processes:
        error = process.error or {}
        holder = "" if process.holder is None else f"; {process.holder}"
        if process.hung is not None:
            every.append(Instance(1.0, f"{process.name} hung: {process.hung}{holder}."))
        elif error.get("kind") == "WaitExpired":
            every.append(Instance(1.0, f"{process.name} hung: it {error['message']}{holder}."))
    if not every:
        return Result()
    lead = f"{len(every)} of {len(case.outcome.processes)} processes hung."
    cases = (every[0], every[0], every[-1])
    return Result([finding("process_hung", len(every), float(len(every)), cases, lead)])
