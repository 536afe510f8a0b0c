"""Was each stock that somebody saw really there? Snapshots, refused sales, and the checks of sales.

What an update reads is the business of :mod:`common.verdict.lineage`. What was only looked at
changes nothing, but it must have been in the row at some moment of the looking all the same
(:mod:`common.verdict.cell`); else the records are not of what happened.
"""

from __future__ import annotations

import numpy as np

from common.history import scratch
from common.history.case import Case
from common.history.merge import History, Positions, States
from common.history.operations import Effect
from common.verdict import unseen
from common.verdict.cell import Cell
from common.verdict.wording import many


def check(case: Case) -> list[str]:
    """Return a doubt of each row of which somebody saw what was not there.

    A row with an update in flight is left out: nobody knows what that wrote, or when.
    """
    history = case.history
    if unseen.on_table(case.plan):
        # What other programs wrote explains any value.
        return []
    checks = _checks(history)
    looks = {Effect.SNAPSHOT: history.by_object(Effect.SNAPSHOT), Effect.UPDATE: checks}
    if not any(looks.values()):
        return []
    updates = history.by_object(Effect.UPDATE)
    flying = history.by_object(Effect.UPDATE, done=False)
    nothing = np.empty(0, np.int64)
    doubts = []
    for row, opening in enumerate(case.outcome.initial or []):
        seen = {effect: found[row] for effect, found in looks.items() if row in found}
        if row in flying or not seen:
            continue
        # A row's last field is its stock.
        cell = Cell(history, opening[-1], updates.get(row, nothing), "v4")
        strange = [cell.impossible(found, _read(effect)) for effect, found in seen.items()]
        if any(map(len, strange)):
            doubts.append(_doubt(case, cell, np.sort(np.concatenate(strange))))
    return doubts


def _read(effect: Effect) -> str:
    """Return where the records of such operations say which stock they saw."""
    return "v2" if effect is Effect.SNAPSHOT else "v1"


def _checks(history: History) -> dict[int, Positions]:
    """Return by row the sales whose check saw a stock that nothing else speaks of.

    Those that were refused, and those that read another stock afterwards than they had checked.
    """
    sale = np.zeros(256, np.bool_)
    sale[[code for code, each in history.operations.items() if each.sign < 0]] = True
    found: dict[int, scratch.Growing] = {}
    for which, begin, end in history.slices():
        if not history.tallies[which, : States.IN_FLIGHT, sale].any():
            continue
        here = slice(history.bounds[which] + begin, history.bounds[which] + end)
        checked, read, left = (
            history.processes[which].records[name][begin:end] for name in ("v1", "v3", "left")
        )
        # Who was refused has read nothing: its 0 is no stock, and may be what it says that it saw.
        apart = ((checked != read) | history.refused[here]) & sale[history.codes[here]]
        chosen = np.flatnonzero(apart & (left != 0)) if apart.any() else np.empty(0, np.int64)
        objects = history.objects[here][chosen]
        for row in np.unique(objects).tolist():
            mine = found.setdefault(row, scratch.Growing(np.int64))
            mine.append(chosen[objects == row] + here.start)
    return {row: growing.array() for row, growing in found.items()}


def _doubt(case: Case, cell: Cell, strange: Positions) -> str:
    first = int(strange[np.argmin(case.history.gather("left", strange))])
    operation = case.history.operation(first)
    objection = cell.objection(case, first, _read(operation.effect))
    return (
        f"{case.place(first)}: {many(len(strange), 'operation')} saw a stock that was not there "
        f"then; {_name(case, first)} {objection}"
    )


def _name(case: Case, at: int) -> str:
    number_there = case.history.record(at)["seq"]
    return f"{case.history.operation(at).name} {number_there:,} of {case.process(at)}"
