"""A reader sees a row as somebody wrote it: never one half of one change beside the other's.

What the table holds at the end is one more thing to see: the launcher read it, and no record did.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from common.history.case import Case
from common.history.merge import Positions
from common.history.operations import Effect
from common.verdict.evidence import Result, finding, instance
from common.verdict.finding import Instance
from common.verdict.wording import many, number

Pairs = npt.NDArray[np.complex128]


def check(case: Case) -> Result:
    """Return the snapshots whose pair of rates no change, nor the opening row, ever wrote.

    So do rows whose last contents nobody wrote; each counts as one snapshot more.
    """
    history = case.history
    snapshots, changes = history.select(Effect.SNAPSHOT), history.select(Effect.SET)
    finals = case.outcome.final or []
    torn: list[int] = []
    ended: list[int] = []
    for row in sorted({*np.unique(history.objects[snapshots]).tolist(), *range(len(finals))}):
        seen = snapshots[history.objects[snapshots] == row]
        pairs = _pairs(case, seen)
        if row < len(finals):
            pairs = np.append(pairs, complex(*finals[row][:2]))
        bad = _torn(case, row, pairs, changes[history.objects[changes] == row])
        torn.extend(seen[bad[: len(seen)]].tolist())
        if bad[len(seen) :].any():
            ended.append(row)
    count = len(torn) + len(ended)
    if not count:
        return Result(measures={"torn_reads": 0})
    torn.sort(key=lambda at: history.record(at)["left"])
    cases = [_instance(case, changes, at) for at in (*torn[:1], *torn[-1:])]
    cases += [_ending(case, changes, row) for row in (*ended[:1], *ended[-1:])]
    told = []
    if torn:
        told.append(f"{many(len(torn), 'snapshot')} of {len(snapshots):,} saw")
    if ended:
        told.append(f"{many(len(ended), 'row')} of {len(finals):,} ended as")
    lead = f"{' and '.join(told)} a row that no one ever wrote."
    found = finding("torn_read", count, float(count), (cases[0], cases[0], cases[-1]), lead)
    return Result([found], measures={"torn_reads": count})


def _torn(case: Case, row: int, seen: Pairs, written: Positions) -> npt.NDArray[np.bool_]:
    pairs = _pairs(case, written)
    if case.outcome.initial is not None and row < len(case.outcome.initial):
        sell, buy = case.outcome.initial[row][:2]
        pairs = np.append(pairs, complex(sell, buy))
    torn = ~np.isin(seen, pairs)
    # A change in flight when its process died wrote a first rate; whether it wrote the second,
    # and which, nobody recorded. Only a second rate known from elsewhere proves a torn row.
    flying = case.history.select(Effect.SET, done=False)
    flying = flying[case.history.objects[flying] == row]
    if len(flying) and torn.any():
        known = np.isin(seen.imag, pairs.imag)
        torn &= known | ~np.isin(seen.real, case.history.gather("v0", flying))
    return torn


def _pairs(case: Case, positions: Positions) -> Pairs:
    # A pair of doubles as one complex number: sorted and compared whole, exactly.
    pairs = np.empty(len(positions), np.complex128)
    pairs.real = case.history.gather("v0", positions)
    pairs.imag = case.history.gather("v1", positions)
    return pairs


def _instance(case: Case, changes: Positions, at: int) -> Instance:
    found = case.history.record(at)
    rates = (found["v0"], found["v1"])
    sources = [case.source(changes, at, written=half, read=half) for half in ("v0", "v1")]
    seen = f"{case.process(at)} read {_told(*rates)} of {case.place(at)}"
    sentence = _mixture(case, seen, found["object"], rates, sources)
    return instance(case, 1.0, sentence, at, *sources)


def _ending(case: Case, changes: Positions, row: int) -> Instance:
    """Tell of a row that the table held when every process had ended."""
    assert case.outcome.final is not None
    history = case.history
    rates = (case.outcome.final[row][0], case.outcome.final[row][1])
    here = changes[history.objects[changes] == row]
    sources: list[int | None] = []
    for half, rate in zip(("v0", "v1"), rates, strict=True):
        wrote = here[history.gather(half, here) == rate]
        last = np.argmax(history.gather("left", wrote)) if len(wrote) else None
        sources.append(None if last is None else int(wrote[last]))
    seen = f"The table ended with {_told(*rates)} of {case.row(row)}"
    return instance(case, 1.0, _mixture(case, seen, row, rates, sources), *sources)


def _mixture(
    case: Case, seen: str, row: int, rates: tuple[float, float], sources: list[int | None]
) -> str:
    opening = (case.outcome.initial or [])[row : row + 1]
    names = [
        _name(case, source, unchanged=bool(opening) and opening[0][half] == rates[half])
        for half, source in enumerate(sources)
    ]
    return (
        f"{seen}, a row that no one ever wrote: the sell rate is from {names[0]}, "
        f"the buy rate from {names[1]}."
    )


def _told(sell: float, buy: float) -> str:
    return f"sell {_rate(sell)} and buy {_rate(buy)}"


def _name(case: Case, change: int | None, *, unchanged: bool) -> str:
    if change is None:
        return "the opening row" if unchanged else "no finished change"
    found = case.history.record(change)
    return (
        f"change {found['seq']} of {case.process(change)} "
        f"({_rate(found['v0'])}, {_rate(found['v1'])})"
    )


def _rate(value: float) -> str:
    # Rates differ from each other by less than amounts do.
    return number(value, decimals=7)
