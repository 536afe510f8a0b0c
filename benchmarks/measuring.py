"""Measures the sides of a row in alternation and judges their ratios against the goals.

Each round runs every side once (A B A B …), so that a machine that slows down slows all of them;
a ratio is taken within a round, and its median over the rounds is what counts.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from benchmarks.programs import on_cores

# Turns of the loop that shows how steady the machine is (some 20 ms).
NOISE_TURNS = 300_000

Figure = TypeVar("Figure")


@dataclass(frozen=True)
class Bench:
    """How to measure: ``out`` keeps the runs, ``quick`` asks for little work and two rounds."""

    out: Path
    quick: bool = False

    def work(self, full: int, quick: int) -> int:
        """Return how many operations to do."""
        return quick if self.quick else full


@dataclass(frozen=True)
class Goal:
    """``of`` over ``to``, two figures of the row (``to`` may be a number), and its bounds.

    With neither bound the ratio is shown and not judged.
    """

    of: str
    to: str | float
    at_least: float | None = None
    at_most: float | None = None
    below: float | None = None

    @property
    def wanted(self) -> str:
        """The bound in words; "" where there is none."""
        if self.at_least is not None:
            return f">= {self.at_least:g}"
        if self.at_most is not None:
            return f"<= {self.at_most:g}"
        return "" if self.below is None else f"< {self.below:g}"

    def met(self, ratio: float) -> bool | None:
        """Say whether ``ratio`` is within the bound; None where there is none."""
        if self.at_least is not None:
            return ratio >= self.at_least
        if self.at_most is not None:
            return ratio <= self.at_most
        return None if self.below is None else ratio < self.below


@dataclass(frozen=True)
class Row:
    """A question: its figures with their units, the sides that yield them, and its goals.

    Each side does its work once and returns some of the figures by name. ``rounds`` is how often
    the sides take turns. ``note`` says what a reader must know to believe the figures.
    """

    units: Mapping[str, str]
    sides: list[Callable[[], dict[str, float]]]
    goals: list[Goal]
    rounds: int = 7
    note: str = ""


class Spread(NamedTuple):
    """The median of some figures, and their ends."""

    median: float
    least: float
    most: float


@dataclass
class Measured:
    """What came of a row: each figure, and each goal with its ratio; or why it was skipped."""

    name: str
    question: str
    figures: dict[str, tuple[Spread, str]] = field(default_factory=dict)
    ratios: list[tuple[Goal, Spread]] = field(default_factory=list)
    rounds: int = 0
    noise: Spread | None = None
    note: str = ""
    skipped: str = ""
    quick: bool = False

    def verdict(self, goal: Goal, ratio: Spread) -> bool | None:
        """Say whether a goal was met; None without a bound, and after too little work to tell."""
        return None if self.quick else goal.met(ratio.median)

    @property
    def met(self) -> bool:
        """Whether no goal was missed."""
        return all(self.verdict(goal, ratio) is not False for goal, ratio in self.ratios)

    def document(self) -> dict[str, Any]:
        """Return the row as JSON."""
        return {
            "name": self.name,
            "question": self.question,
            "rounds": self.rounds,
            "figures": {
                name: {"unit": unit, **spread._asdict()}
                for name, (spread, unit) in self.figures.items()
            },
            "goals": [
                {
                    "of": goal.of, "to": goal.to, "ratio": ratio._asdict(), "goal": goal.wanted,
                    "met": self.verdict(goal, ratio),
                }
                for goal, ratio in self.ratios
            ],
            "noise_s": None if self.noise is None else self.noise._asdict(),
            "note": self.note,
            "skipped": self.skipped,
        }  # fmt: skip


def measure(name: str, question: str, row: Row, quick: bool) -> Measured:
    """Let the sides of ``row`` take turns; raises ``ProgramFailed``."""
    rounds = 2 if quick else row.rounds
    found, steadiness = take_turns(row.sides, rounds)
    return Measured(
        name,
        question,
        figures={
            figure: (spread([each[figure] for each in found]), unit)
            for figure, unit in row.units.items()
        },
        ratios=[(goal, spread([_ratio(goal, each) for each in found])) for goal in row.goals],
        rounds=rounds,
        noise=spread(steadiness),
        note=row.note,
        quick=quick,
    )


def take_turns(
    sides: Sequence[Callable[[], Mapping[str, Figure]]], rounds: int
) -> tuple[list[dict[str, Figure]], list[float]]:
    """Run every side once in each of ``rounds``, in their order.

    Returns the figures of each round, and the seconds of the fixed loop before each.
    """
    found: list[dict[str, Figure]] = []
    steadiness = []
    for _ in range(rounds):
        steadiness.append(fixed_loop())
        figures: dict[str, Figure] = {}
        for side in sides:
            figures.update(side())
        found.append(figures)
    return found, steadiness


def fixed_loop() -> float:
    """Do the same work each time, and return the seconds it took: the machine's own unsteadiness.

    It runs on one core, between the sides that are measured.
    """
    with on_cores(1):
        begun = time.perf_counter()
        total = 0
        for number in range(NOISE_TURNS):
            total += number
        return time.perf_counter() - begun


def spread(values: list[float]) -> Spread:
    """Return the median of ``values``, and the least and the greatest of them."""
    return Spread(statistics.median(values), min(values), max(values))


def _ratio(goal: Goal, figures: Mapping[str, float]) -> float:
    to = figures[goal.to] if isinstance(goal.to, str) else goal.to
    return figures[goal.of] / to
