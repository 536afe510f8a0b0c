"""Figures that are made up: no test asserts one of a machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.grid.measuring import (
    OURS,
    Contest,
    Entrant,
    Result,
    Sample,
    Series,
    Terms,
)
from benchmarks.measuring import Spread

TERMS = Terms("throughput", 64, 1, 2)


STEADY, UNSTEADY = Spread(0.01, 0.01, 0.011), Spread(0.012, 0.01, 0.02)


def entrant(
    name: str, figure: float = 1.0, side: str = OURS, busy: bool = False, kind: str = ""
) -> Entrant:
    return Entrant(name, kind or name, side, lambda n: Sample(figure, n, 0.0), "waits", busy)


def series(
    name: str, figures: Sequence[float], terms: Terms = TERMS, more: bool = True, **about: Any
) -> Series:
    return Series(entrant(name, **about), terms, more, figures, 1e-6, 2e-6)


def result(
    *measured: Series, against: dict[str, dict[str, str]] | None = None, noise: Spread = STEADY
) -> Result:
    first = measured[0]
    entrants = [each.entrant for each in measured]
    contest = Contest(first.terms, "messages/s", first.more, entrants, against or {})
    return Result(contest, {each.entrant.name: each for each in measured}, {}, noise)
