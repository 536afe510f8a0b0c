"""No sale takes more than there is: a row's stock never falls below zero.

A sale reads the stock for its check and reads it again for the change; what was written between
the two was never checked.
"""

from __future__ import annotations

import numpy as np

from common.history import scratch, sections
from common.history.case import Case
from common.history.merge import History, Positions
from common.history.operations import Effect
from common.verdict.evidence import Result, finding, instance
from common.verdict.finding import Instance
from common.verdict.wording import many, number


def check(case: Case) -> Result:
    """Return the updates that left less than nothing; ``total`` is the sum of their depths.

    Only an update that takes from the row counts: one that adds to it mends what was broken.
    """
    history = case.history
    if not _any_below(history):
        return Result(measures={"negative_stock": 0})
    found, deep = scratch.Growing(np.int64), scratch.Growing(np.float64)
    for which, updates in history.chunks(Effect.UPDATE):
        within = updates - history.bounds[which]
        written = history.cells("v4", which, within)
        below = np.flatnonzero(written < 0)
        below = below[written[below] < history.cells("v3", which, within[below])]
        found.append(updates[below])
        deep.append(-written[below])
    positions, depths = found.array(), deep.array()
    result = Result(measures={"negative_stock": len(positions)})
    if not len(positions):
        return result
    left = history.gather("left", positions)
    picked = (int(np.argmin(left)), int(np.argmax(depths)), int(np.argmax(left)))
    every = history.select(Effect.UPDATE)
    cases = [_instance(case, every, int(positions[at]), float(depths[at])) for at in picked]
    lead = (
        f"{many(len(positions), 'update')} left a stock below zero, "
        f"{number(float(depths.max()))} at the worst."
    )
    result.findings.append(
        finding("negative_stock", len(positions), float(depths.sum()), cases, lead)
    )
    return result


def _any_below(history: History) -> bool:
    written = (each.column("v4") for each in sections.of(history, Effect.UPDATE).values())
    return any((each[at] < 0).any() for each in written for at in scratch.parts(len(each)))


def _instance(case: Case, updates: Positions, at: int, depth: float) -> Instance:
    found = case.history.record(at)
    who, row = case.process(at), case.place(at)
    name = case.history.operation(at).name
    story = f"{who} checked {number(found['v1'])} {row} to {name} {number(found['v0'])}"
    end = f"{who} read {number(found['v3'])} and wrote {number(found['v4'])}."
    writer = case.source(updates, at, written="v4", read="v3")
    if writer is None:
        return instance(case, depth, f"{story}; then {end}", at)
    between = f"{case.process(writer)} then wrote {number(found['v3'])}"
    return instance(case, depth, f"{story}; {between}; {end}", at, writer)
