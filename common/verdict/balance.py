"""Every trader's private balance follows from its recorded trades, to the last bit.

The same float operations in the same order give the same double: no tolerance is needed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from common.history.case import Case
from common.history.merge import History, Positions
from common.history.operations import Effect

# The lecture: ``double balance = 1000; // initial balance``.
OPENING = 1000.0


def check(case: Case) -> list[str]:
    """Return a doubt for each process whose reported ``balance`` its records do not explain."""
    history = case.history
    reported = {
        process.index: process.summary["balance"]
        for process in case.outcome.processes
        if isinstance(process.summary.get("balance"), float)
    }
    if not reported:
        return []
    replayed = openings(case)
    for which, positions in history.chunks(Effect.UPDATE):
        replayed[which] = float(course(history, which, positions, replayed[which])[-1])
    return [
        f"{process.name} reports a balance of {reported[process.index]!r}, but its "
        f"recorded trades make it {made!r}"
        for process, made in zip(history.processes, replayed, strict=True)
        if process.index in reported and made != reported[process.index]
    ]


def openings(case: Case) -> list[float]:
    """Return the balance that each process of the history begins with."""
    declared = {
        process.index: float(process.options.get("balance", OPENING))
        for process in case.plan.processes
    }
    # Who was started in the place of another begins as that one did.
    first = {process.index: process.first for process in case.outcome.processes}
    return [
        declared.get(first.get(process.index) or process.index, OPENING)
        for process in case.history.processes
    ]


def course(
    history: History, which: int, positions: Positions, before: float
) -> npt.NDArray[np.float64]:
    """Return a process's balance ``before`` its updates at ``positions``, and after each of them.

    ``which`` is its place in the history.
    """
    signs = np.zeros(256)
    for code, operation in history.operations.items():
        signs[code] = -operation.sign
    changes = np.empty(len(positions) + 1)
    changes[0] = before
    within = positions - history.bounds[which]
    amounts, rates = (history.cells(name, which, within) for name in ("v0", "v2"))
    np.multiply(amounts, rates, out=changes[1:])
    changes[1:] *= signs[history.codes[positions]]
    # One after the other: a sum in another order may round differently.
    return np.add.accumulate(changes, out=changes)
