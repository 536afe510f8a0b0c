"""Two accesses to one row, one of them a write, have an order that something gives them.

Reported even where no harm came of it: what went well in this run may go wrong in the next one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from common.history import record
from common.history.case import Case
from common.history.merge import Positions
from common.history.operations import Effect
from common.verdict.accesses import Accesses, accesses, neighbours, orderly
from common.verdict.evidence import Result, instance
from common.verdict.finding import Finding, Instance
from common.verdict.happens_before import HappensBefore
from common.verdict.race_causes import TITLES, Cause, causes, holding, reason
from common.verdict.wording import many, number, past


class Race(NamedTuple):
    """Two accesses by their positions; ``at`` is when the second one began (ns)."""

    at: int
    one: int
    other: int


@dataclass
class Found:
    """The races of one cause: how many, and the first and the last of them."""

    count: int = 0
    first: Race = field(default_factory=lambda: Race(np.iinfo(np.int64).max, 0, 0))
    last: Race = field(default_factory=lambda: Race(-1, 0, 0))


def check(case: Case) -> Result:
    """Return the races: pairs of neighbouring accesses of two processes that nothing orders.

    Neighbours are an access and the write before or after it: if they are ordered, so are all.
    """
    if orderly(case.history):
        return Result(measures={"data_races": 0})
    found: dict[Cause, Found] = {}
    order: HappensBefore | None = None
    for here in accesses(case.history).values():
        for one, other in _apart(here):
            order = order or HappensBefore(case)
            if not order.nothing:
                before, after = (here.process[each].astype(np.int64) for each in (one, other))
                ordered = order.ordered(before, here.left[one], after, here.entered[other])
                one, other = one[~ordered], other[~ordered]
            if len(one):
                _add(case, found, here, one, other)
    count = sum(each.count for each in found.values())
    result = Result(measures={"data_races": count})
    if found:
        result.findings.append(_finding(case, found, count))
    return result


def _apart(here: Accesses) -> Iterator[tuple[Positions, Positions]]:
    """Yield the neighbours that did not come one after the other under one lock."""
    locked = here.last.any()
    for one, other in neighbours(here):
        if not locked:
            yield one, other
            continue
        shared = (here.last[one] == here.first[other]) & (here.first[other] != record.NO_LOCK)
        shared &= here.left[one] <= here.entered[other]
        if not shared.all():
            yield one[~shared], other[~shared]


def _add(
    case: Case, found: dict[Cause, Found], here: Accesses, one: Positions, other: Positions
) -> None:
    held = ((here.first[each], here.last[each]) for each in (one, other))
    why = causes(case, *held)
    when: npt.NDArray[np.int64] = here.entered[other]
    for cause in np.flatnonzero(np.bincount(why)).tolist():
        mine = np.flatnonzero(why == cause)
        known = found.setdefault(Cause(cause), Found())
        known.count += len(mine)
        early, late = mine[np.argmin(when[mine])], mine[np.argmax(when[mine])]
        early, late = (
            Race(int(when[at]), int(here.positions[one[at]]), int(here.positions[other[at]]))
            for at in (early, late)
        )
        known.first, known.last = min(known.first, early), max(known.last, late)


def _finding(case: Case, found: dict[Cause, Found], count: int) -> Finding:
    """Tell the first race of each cause; the commonest cause is the worst case."""
    by_time = sorted(found, key=lambda cause: found[cause].first)
    told = {cause: _instance(case, found[cause].first) for cause in by_time}
    first = told[by_time[0]]
    worst = told[max(by_time, key=lambda cause: found[cause].count)]
    last = _instance(case, max(each.last for each in found.values()))
    lead = f"{many(count, 'pair')} of accesses to a row {'is' if count == 1 else 'are'} unordered"
    if len(found) > 1:
        lead += ": " + ", ".join(f"{found[cause].count:,} {TITLES[cause]}" for cause in by_time)
    sentences = " ".join(each.sentence for each in told.values())
    return Finding("data_race", count, float(count), first, worst, last, f"{lead}. {sentences}")


def _instance(case: Case, race: Race) -> Instance:
    one, other = (
        f"{case.process(at)} {_deed(case, at)}, {holding(case, at)}"
        for at in (race.one, race.other)
    )
    sentence = (
        f"{one}; {other}; nothing makes one of them come after the other: "
        f"{reason(case, race.one, race.other)}."
    )
    return instance(case, 1.0, sentence, race.one, race.other)


def _deed(case: Case, at: int) -> str:
    """Return what an operation did to its row."""
    history = case.history
    operation, row = history.operation(at), case.place(at)
    if operation.effect is Effect.SET:
        return f"set the rates of {row}"
    if operation.effect is Effect.SNAPSHOT:
        return f"read the row of {row}"
    goods = f"{number(history.record(at)['v0'])} {row}"
    if history.refused[at]:
        return f"looked whether it can {operation.name} {goods}"
    return f"{past(operation.name)} {goods}"
