"""A reader sees a row as somebody wrote it: never one half of one change beside the other's.

What the table holds at the end is one more thing to see: the launcher read it, and no record did.
A row that is whole, but was not there any more when it was read, or not yet, is a doubt.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from common.history import scratch
from common.history.case import Case
from common.history.merge import History, Positions
from common.history.operations import Effect
from common.verdict.cell import Cell
from common.verdict.evidence import Result, finding, instance
from common.verdict.finding import Instance
from common.verdict.wording import many, number

Pairs = npt.NDArray[np.complex128]
# The positions of the changes of each row.
Changes = dict[int, Positions]


def check(case: Case) -> Result:
    """Return the snapshots whose pair of rates no change, nor the opening row, ever wrote.

    So do rows whose last contents nobody wrote; each counts as one snapshot more.
    """
    history = case.history
    nothing = np.empty(0, np.int64)
    snapshots, changes = history.by_object(Effect.SNAPSHOT), history.by_object(Effect.SET)
    flying = history.by_object(Effect.SET, done=False)
    finals = case.outcome.final or []
    count, first, last = 0, None, None
    ended: list[int] = []
    doubts: list[str] = []
    for row in sorted({*snapshots, *range(len(finals))}):
        written = _Written(case, row, changes.get(row, nothing))
        mixed, whole = scratch.Growing(np.int64), scratch.Growing(np.int64)
        for which, within in history.pieces(snapshots.get(row, nothing)):
            apart = written.torn(_pairs(history, which, within))
            mixed.append(within[apart] + history.bounds[which])
            whole.append(within[~apart] + history.bounds[which])
        torn = mixed.array()
        if len(torn):
            count += len(torn)
            left = history.gather("left", torn)
            early, late = int(np.argmin(left)), len(left) - 1 - int(np.argmax(left[::-1]))
            if first is None or left[early] < first[0]:
                first = left[early], int(torn[early])
            if last is None or left[late] >= last[0]:
                last = left[late], int(torn[late])
        final = finals[row][:2] if row < len(finals) else []
        if final and written.torn(np.array([complex(*final)]))[0]:
            ended.append(row)
            final = []
        if row in changes and row not in flying:
            doubts += _untimely(case, row, changes[row], whole.array(), final)
    if not count and not ended:
        return Result(doubts=doubts, measures={"torn_reads": 0})
    cases, told = [], []
    if first and last:
        cases += [_instance(case, changes, at) for _, at in (first, last)]
        seen = sum(len(positions) for positions in snapshots.values())
        told.append(f"{many(count, 'snapshot')} of {seen:,} saw")
    if ended:
        cases += [_ending(case, changes, row) for row in (ended[0], ended[-1])]
        told.append(f"{many(len(ended), 'row')} of {len(finals):,} ended as")
    lead = f"{' and '.join(told)} a row that no one ever wrote."
    count += len(ended)
    found = finding("torn_read", count, float(count), (cases[0], cases[0], cases[-1]), lead)
    return Result([found], doubts, {"torn_reads": count})


class _Written:
    """What was written to a row: the pairs of its opening and of every change, in order."""

    def __init__(self, case: Case, row: int, changes: Positions) -> None:
        history = case.history
        pairs = scratch.Growing(np.complex128)
        for which, within in history.pieces(changes):
            pairs.append(_pairs(history, which, within))
        if case.outcome.initial is not None and row < len(case.outcome.initial):
            pairs.append(np.array([complex(*case.outcome.initial[row][:2])]))
        self._pairs = pairs.array()
        self._pairs.sort()
        # A change in flight when its process died wrote a first rate; whether it wrote the second,
        # and which, nobody recorded. Only a second rate known from elsewhere proves a torn row.
        flying = history.select(Effect.SET, done=False)
        self._flying = history.gather("v0", flying[history.objects[flying] == row])
        self._seconds = np.empty(0)
        if len(self._flying):
            self._seconds = scratch.join((self._pairs.imag,), np.float64)
            self._seconds.sort()

    def torn(self, seen: Pairs) -> npt.NDArray[np.bool_]:
        """Tell which of the pairs ``seen`` nobody wrote."""
        torn = ~_among(seen, self._pairs)
        if len(self._flying):
            torn &= _among(seen.imag, self._seconds) | ~np.isin(seen.real, self._flying)
        return torn


def _among(seen: npt.NDArray[Any], known: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Tell which of ``seen`` are among ``known``, which ascend."""
    if not len(known):
        return np.zeros(len(seen), np.bool_)
    at = np.searchsorted(known, seen)
    np.minimum(at, len(known) - 1, out=at)
    found: npt.NDArray[np.bool_] = known[at] == seen
    return found


def _pairs(history: History, which: int, within: Positions) -> Pairs:
    # A pair of doubles as one complex number: sorted and compared whole, exactly.
    pairs = np.empty(len(within), np.complex128)
    pairs.real = history.cells("v0", which, within)
    pairs.imag = history.cells("v1", which, within)
    return pairs


def _untimely(
    case: Case, row: int, changes: Positions, whole: Positions, final: list[float]
) -> list[str]:
    """Return a doubt for each rate that was seen when it was not there.

    ``whole`` are snapshots, ``final`` the rates at the end, empty if they are of no use.
    """
    history, doubts = case.history, []
    opening = (case.outcome.initial or [])[row : row + 1]
    for at, (rate, half) in enumerate((("sell", "v0"), ("buy", "v1"))):
        # With nothing known of the opening row any value may be from there.
        if not opening:
            break
        cell = Cell(history, opening[0][at], changes, half)
        strange = cell.impossible(whole, half)
        if len(strange):
            found = int(strange[np.argmin(history.gather("left", strange))])
            doubts.append(
                f"{case.row(row)}: {many(len(strange), 'snapshot')} saw a {rate} rate that was not "
                f"there then; {case.history.operation(found).name} "
                f"{history.record(found)['seq']:,} of {case.process(found)} "
                f"{cell.objection(case, found, half)}"
            )
        end = np.array([np.iinfo(np.int64).max])
        if final and not cell.possible(np.array([final[at]]), end, end)[0]:
            doubts.append(
                f"{case.row(row)}: the table ended with the {rate} rate {_rate(final[at])}, which "
                f"had been overwritten before that"
            )
    return doubts


def _instance(case: Case, changes: Changes, at: int) -> Instance:
    found = case.history.record(at)
    rates = (found["v0"], found["v1"])
    written = changes.get(found["object"], np.empty(0, np.int64))
    sources = [case.source(written, at, written=half, read=half) for half in ("v0", "v1")]
    seen = f"{case.process(at)} read {_told(*rates)} of {case.place(at)}"
    sentence = _mixture(case, seen, found["object"], rates, sources)
    return instance(case, 1.0, sentence, at, *sources)


def _ending(case: Case, changes: Changes, row: int) -> Instance:
    """Tell of a row that the table held when every process had ended."""
    assert case.outcome.final is not None
    history = case.history
    rates = (case.outcome.final[row][0], case.outcome.final[row][1])
    here = changes.get(row, np.empty(0, np.int64))
    sources: list[int | None] = []
    for half, rate in zip(("v0", "v1"), rates, strict=True):
        wrote = scratch.join(
            (
                within[history.cells(half, which, within) == rate] + history.bounds[which]
                for which, within in history.pieces(here)
            ),
            np.int64,
        )
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
