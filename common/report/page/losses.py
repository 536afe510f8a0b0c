"""When was each lost update lost? At the moment when the write that went over it had left.

For one update :meth:`Lineage.overwriter` says which write that was; here for all of a row at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.history.case import Case
from common.history.merge import Positions
from common.history.operations import Effect
from common.verdict.lineage import NEVER, UNIT, Lineage, trace

NOBODY = -1


@dataclass(frozen=True)
class Losses:
    """The lost updates of a row in the order in which they were lost.

    ``lost`` and ``by`` are positions of the update and of the write that went over it, ``at`` when
    that left (ns since the gate), ``amount`` what was lost with its sign. ``unknown`` counts those
    lost to something else than a recorded write: they are not listed.
    """

    lost: Positions
    by: Positions
    at: npt.NDArray[np.int64]
    amount: npt.NDArray[np.float64]
    unknown: int = 0


def losses(case: Case, row: int) -> Losses:
    """Return what was lost of a row of the table; nothing where the judge is in doubt."""
    history = case.history
    nothing = np.empty(0, np.int64)
    none = Losses(nothing, nothing, nothing, np.empty(0))
    initial, final = case.outcome.initial or [], case.outcome.final or []
    if row >= min(len(initial), len(final)):
        return none
    done, flying = (history.select(Effect.UPDATE, done=ended) for ended in (True, False))
    lineage = trace(
        history,
        done[history.objects[done] == row],
        flying[history.objects[flying] == row],
        initial[row][-1],
        final[row][-1],
    )
    if lineage.lost is None or not len(lineage.lost):
        return none
    over = overwriters(lineage)
    known = over != NOBODY
    known[known] = lineage.left[over[known]] != NEVER
    lost, over = lineage.lost[known], over[known]
    order = np.argsort(lineage.left[over], kind="stable")
    lost, over = lost[order], over[order]
    return Losses(
        lineage.positions[lost],
        lineage.positions[over],
        lineage.left[over] - case.outcome.gate_ns,
        lineage.delta[lost] / UNIT,
        int(np.count_nonzero(~known)),
    )


def overwriters(lineage: Lineage) -> npt.NDArray[np.int64]:
    """Return for each of ``lineage.lost`` the operation that wrote over it, or ``NOBODY``.

    Of operations that read the same value each is overwritten by the next; a lost operation
    without a next one goes with its nearest ancestor that has one.
    """
    assert lineage.lost is not None
    parent = lineage.parent
    survived = np.ones(len(parent), dtype=bool)
    survived[lineage.lost] = False
    order = np.lexsort((lineage.left, survived, lineage.read, parent))
    same = parent[order[1:]] == parent[order[:-1]]
    same &= lineage.read[order[1:]] == lineage.read[order[:-1]]
    following = np.full(len(parent), NOBODY)
    following[order[:-1][same]] = order[1:][same]
    carrier = np.arange(len(parent))
    climbs = (following == NOBODY) & (parent >= 0)
    carrier[climbs] = parent[climbs]
    # Each round doubles how far everyone has climbed.
    for _ in range(len(parent).bit_length()):
        further = carrier[carrier]
        if (further == carrier).all():
            break
        carrier = further
    return following[carrier[lineage.lost]]
