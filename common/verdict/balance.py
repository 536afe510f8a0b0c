"""Every trader's private balance follows from its recorded trades, to the last bit.

The same float operations in the same order give the same double: no tolerance is needed.
"""

from __future__ import annotations

import numpy as np

from common.history.case import Case
from common.history.operations import Effect

# The lecture: ``double balance = 1000; // initial balance``.
OPENING = 1000.0


def check(case: Case) -> list[str]:
    """Return a doubt for each process whose reported ``balance`` its records do not explain."""
    history = case.history
    openings = {
        process.index: float(process.options.get("balance", OPENING))
        for process in case.plan.processes
    }
    reported = {
        process.index: process.summary["balance"]
        for process in case.outcome.processes
        if isinstance(process.summary.get("balance"), float)
    }
    if not reported:
        return []
    updates = history.select(Effect.UPDATE)
    cuts = np.searchsorted(updates, history.bounds).tolist()
    signs = np.zeros(256)
    for code, operation in history.operations.items():
        signs[code] = -operation.sign
    doubts = []
    for which, process in enumerate(history.processes):
        if process.index not in reported:
            continue
        mine = updates[cuts[which] : cuts[which + 1]]
        changes = np.empty(len(mine) + 1)
        changes[0] = openings.get(process.index, OPENING)
        np.multiply(history.gather("v0", mine), history.gather("v2", mine), out=changes[1:])
        changes[1:] *= signs[history.codes[mine]]
        replayed = float(np.add.accumulate(changes)[-1])
        if replayed != reported[process.index]:
            doubts.append(
                f"{process.name} reports a balance of {reported[process.index]!r}, but its "
                f"recorded trades make it {replayed!r}"
            )
    return doubts
