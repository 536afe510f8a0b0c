"""A reader sees a row as somebody wrote it: never one half of one change beside the other's."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from common.history.case import Case
from common.history.merge import Positions
from common.history.operations import Effect
from common.verdict.evidence import Result, finding, instance
from common.verdict.finding import Instance
from common.verdict.wording import many, number


def check(case: Case) -> Result:
    """Return the snapshots whose pair of rates no change, nor the opening row, ever wrote."""
    history = case.history
    snapshots, changes = history.select(Effect.SNAPSHOT), history.select(Effect.SET)
    torn: list[int] = []
    for row in np.unique(history.objects[snapshots]).tolist():
        seen = snapshots[history.objects[snapshots] == row]
        written = changes[history.objects[changes] == row]
        torn.extend(_torn(case, row, seen, written).tolist())
    if not torn:
        return Result(measures={"torn_reads": 0})
    torn.sort(key=lambda at: history.record(at)["left"])
    picked = (torn[0], torn[0], torn[-1])
    cases = [_instance(case, changes, at) for at in picked]
    lead = f"{many(len(torn), 'snapshot')} of {len(snapshots):,} saw a row that no one ever wrote."
    found = finding("torn_read", len(torn), float(len(torn)), cases, lead)
    return Result([found], measures={"torn_reads": len(torn)})


def _torn(case: Case, row: int, seen: Positions, written: Positions) -> Positions:
    # A pair of doubles as one complex number: sorted and compared whole, exactly.
    pairs = _pairs(case, written)
    if case.outcome.initial is not None and row < len(case.outcome.initial):
        sell, buy = case.outcome.initial[row][:2]
        pairs = np.append(pairs, complex(sell, buy))
    torn = seen[~np.isin(_pairs(case, seen), pairs)]
    # A change in flight when its process died wrote a first rate; whether it wrote the second,
    # and which, nobody recorded. Only a second rate known from elsewhere proves a torn row.
    flying = case.history.select(Effect.SET, done=False)
    flying = flying[case.history.objects[flying] == row]
    if len(flying) and len(torn):
        unknown = np.isin(case.history.gather("v0", torn), case.history.gather("v0", flying))
        unknown &= ~np.isin(case.history.gather("v1", torn), pairs.imag)
        torn = torn[~unknown]
    return torn


def _pairs(case: Case, positions: Positions) -> npt.NDArray[Any]:
    pairs = np.empty(len(positions), np.complex128)
    pairs.real = case.history.gather("v0", positions)
    pairs.imag = case.history.gather("v1", positions)
    return pairs


def _instance(case: Case, changes: Positions, at: int) -> Instance:
    found = case.history.record(at)
    sell, buy = found["v0"], found["v1"]
    first, second = (case.source(changes, at, written=half, read=half) for half in ("v0", "v1"))
    sentence = (
        f"{case.process(at)} read sell {_rate(sell)} and buy {_rate(buy)} of {case.place(at)}, "
        f"a row that no one ever wrote: the sell rate is from {_name(case, first)}, "
        f"the buy rate from {_name(case, second)}."
    )
    return instance(case, 1.0, sentence, at, first, second)


def _name(case: Case, change: int | None) -> str:
    if change is None:
        return "the opening row"
    found = case.history.record(change)
    return (
        f"change {found['seq']} of {case.process(change)} "
        f"({_rate(found['v0'])}, {_rate(found['v1'])})"
    )


def _rate(value: float) -> str:
    # Rates differ from each other by less than amounts do.
    return number(value, decimals=7)
