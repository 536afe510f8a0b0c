"""When a run has ended, none of its kernel objects is left."""

from __future__ import annotations

from common.history.case import Case
from common.verdict.evidence import Result, finding
from common.verdict.finding import Instance


def check(case: Case) -> Result:
    """Return the kernel objects that are still there after the removal."""
    every = [
        Instance(1.0, f"the {entry.get('kind')} {entry.get('name')} (id {entry.get('id')}) is "
                      f"still there after the run.")
        for entry in case.outcome.leaks
    ]  # fmt: skip
    if not every:
        return Result()
    lead = f"{len(every)} of {len(case.outcome.objects)} kernel objects leaked."
    cases = (every[0], every[0], every[-1])
    return Result([finding("leak", len(every), float(len(every)), cases, lead)])
