"""Measures entrants on the same terms, in alternation, and compares only what is alike.

Each entrant first does a growing number of operations until that takes a while: this warms it up
and says how many it does each round. Then all take turns, A B C A B C …; a ratio is taken within a
round. A figure is the median of its rounds with an interval that holds the true median with at
least 90 % (sign test: between two order statistics; exact, whatever the distribution).
"""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from benchmarks.measuring import Goal, Spread, spread, take_turns
from benchmarks.programs import ProgramFailed
from common.errors import LabError

OURS, C, INSTEAD = "lab", "C", "instead"
# The greatest share of intervals that miss their median.
MISSES = 0.1
# The fixed loop may be this much slower at worst than at best, or the machine is called noisy.
STEADY = 1.25
# Operations of the first try, and how many times more the next may have.
_FIRST, _GROWTH = 16, 8


class Unlike(ValueError):
    """Two figures were not obtained on the same terms; the message says what differs."""


class Terms(NamedTuple):
    """What two figures must have in common to be compared. ``payload`` in bytes, 0 for none."""

    what: str
    payload: int
    cores: int
    processes: int

    def __str__(self) -> str:
        size = f", {in_bytes(self.payload)}" if self.payload else ""
        cores = "one core" if self.cores == 1 else f"{self.cores} cores"
        return f"{self.what}{size}, {self.processes} processes on {cores}"


class Sample(NamedTuple):
    """One measurement: the figure in the contest's unit, wall time and CPU time in seconds.

    The CPU time is of all the processes that took part.
    """

    figure: float
    wall: float
    cpu: float


@dataclass(frozen=True)
class Entrant:
    """Who takes part: ``run(count)`` does so many operations.

    ``kind`` is what it stands for, ``side`` one of OURS, C, INSTEAD; ``waiting`` how it waits in
    words, ``busy`` whether that keeps a processor busy. ``note`` is said beside its name.
    ``settles``: a turn lasts so many seconds at least, since a shorter one would show a beginning.
    """

    name: str
    kind: str
    side: str
    run: Callable[[int], Sample]
    waiting: str = ""
    busy: bool = False
    note: str = ""
    settles: float = 0.0


@dataclass(frozen=True)
class Contest:
    """Entrants on the same terms.

    ``more``: a greater figure is better. ``against`` maps the name of an entrant to whom it is
    compared with, by the heading of the column. ``refused`` says why others do not take part:
    that is what they are like. ``missing`` says what could not be measured here.
    """

    terms: Terms
    unit: str
    more: bool
    entrants: Sequence[Entrant]
    against: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)


class Effort(NamedTuple):
    """How often the entrants take turns, and for about how many seconds each."""

    rounds: int
    seconds: float


QUICK, FULL = Effort(5, 0.008), Effort(11, 0.025)


@dataclass(frozen=True)
class Asked:
    """What shall be measured: the kinds (none: all), and with what effort."""

    effort: Effort
    kinds: tuple[str, ...] = ()

    def wanted(self, names: Sequence[str]) -> list[str]:
        """Return those of ``names`` that are asked for."""
        return [name for name in names if not self.kinds or name in self.kinds]


class Interval(NamedTuple):
    """The median of some figures, and the two between which the true one lies; how surely."""

    median: float
    low: float
    high: float
    coverage: float

    def overlaps(self, other: Interval) -> bool:
        """Return whether the two can be the same."""
        return self.low <= other.high and other.low <= self.high


@dataclass(frozen=True)
class Series:
    """What one entrant did: its figure in each round, and CPU and wall time of an operation (s)."""

    entrant: Entrant
    terms: Terms
    more: bool
    figures: Sequence[float]
    cpu: float
    wall: float

    @property
    def interval(self) -> Interval:
        """The median of the figures."""
        return interval(self.figures)


@dataclass
class Result:
    """What came of a contest; ``failed`` says of whom nothing could be measured, and why."""

    contest: Contest
    series: dict[str, Series]
    failed: dict[str, str]
    noise: Spread

    @property
    def steady(self) -> bool:
        """Whether the fixed loop took about the same time before each round."""
        return self.noise.most <= STEADY * self.noise.least

    def ratio(self, of: str, to: str) -> Interval | None:
        """Return how many times as fast ``of`` is as ``to``; None when one was not measured.

        Raises ``Unlike``.
        """
        if of not in self.series or to not in self.series:
            return None
        return interval(ratios(self.series[of], self.series[to]))

    def ranking(self, *, busy: bool) -> list[Series]:
        """Return ours and Python's that wait so, best first."""
        return sorted(
            (
                each
                for each in self.series.values()
                if each.entrant.side != C and each.entrant.busy == busy
            ),
            key=lambda each: each.interval.median,
            reverse=self.contest.more,
        )


@dataclass(frozen=True)
class Judged:
    """A goal and what came of it: ``ratio`` is None where it could not be measured."""

    goal: Goal
    terms: Terms
    ratio: Interval | None

    @property
    def met(self) -> bool | None:
        """Whether the median is within the bound."""
        return None if self.ratio is None else self.goal.met(self.ratio.median)

    @property
    def sure(self) -> bool:
        """Whether both ends of the interval say the same as the median."""
        if self.ratio is None:
            return False
        return self.goal.met(self.ratio.low) == self.goal.met(self.ratio.high)


def measure(contest: Contest, effort: Effort) -> Result:
    """Let the entrants of ``contest`` take turns; who fails is left out, and it is said why."""
    failed = dict(contest.missing)

    def attempted(entrant: Entrant, count: int) -> Sample | None:
        if entrant.name in failed:
            return None
        try:
            return entrant.run(count)
        except (LabError, ProgramFailed) as error:
            failed[entrant.name] = str(error)
            return None

    counts = {}
    for entrant in contest.entrants:
        seconds = max(effort.seconds, entrant.settles)
        counts[entrant.name] = _enough(functools.partial(attempted, entrant), seconds)

    def side(entrant: Entrant) -> Callable[[], dict[str, Sample]]:
        def once() -> dict[str, Sample]:
            sample = attempted(entrant, counts[entrant.name])
            return {} if sample is None else {entrant.name: sample}

        return once

    found, steadiness = take_turns([side(entrant) for entrant in contest.entrants], effort.rounds)
    series = {}
    for entrant in contest.entrants:
        if entrant.name not in failed:
            samples = [each[entrant.name] for each in found]
            count = counts[entrant.name]
            series[entrant.name] = Series(
                entrant,
                contest.terms,
                contest.more,
                [sample.figure for sample in samples],
                statistics.median(sample.cpu for sample in samples) / count,
                statistics.median(sample.wall for sample in samples) / count,
            )
    return Result(contest, series, failed, spread(steadiness))


def ratios(of: Series, to: Series) -> list[float]:
    """Return round by round how many times as fast ``of`` was as ``to``. Raises ``Unlike``."""
    for name, mine, its in zip(Terms._fields, of.terms, to.terms, strict=True):
        if mine != its:
            raise Unlike(
                f"{of.entrant.name} and {to.entrant.name} are not compared: "
                f"{name} {mine} against {its}"
            )
    if of.entrant.busy != to.entrant.busy:
        idle, spinning = sorted((of.entrant, to.entrant), key=lambda each: each.busy)
        raise Unlike(
            f"{of.entrant.name} and {to.entrant.name} are not compared: "
            f"{spinning.name} waits busily, {idle.name} sleeps"
        )
    if len(of.figures) != len(to.figures):
        raise Unlike(f"{of.entrant.name} and {to.entrant.name} did not take turns")
    pairs = zip(of.figures, to.figures, strict=True)
    return [mine / its if of.more else its / mine for mine, its in pairs]


def interval(values: Sequence[float]) -> Interval:
    """Return the median with the narrowest interval that misses the true one by ``MISSES`` at most.

    With fewer than five values even their ends miss it more often: ``coverage`` says how surely.
    """
    ordered, count = sorted(values), len(values)

    def missed(outside: int) -> float:
        # With so many figures left out at each end: two tails of a binomial distribution of 1/2.
        return math.ldexp(sum(math.comb(count, k) for k in range(outside + 1)), 1 - count)

    outside = 0
    while missed(outside + 1) <= MISSES:
        outside += 1
    low, high = ordered[outside], ordered[count - 1 - outside]
    return Interval(statistics.median(ordered), low, high, max(0.0, 1 - missed(outside)))


def in_bytes(size: int) -> str:
    """Return a size as people read it."""
    return f"{size // 1024} KiB" if size >= 1024 and size % 1024 == 0 else f"{size} B"


def _enough(run: Callable[[int], Sample | None], seconds: float) -> int:
    """Return how many operations take about ``seconds``: more and more are tried.

    The fastest try counts, and two in a row must have been long enough: one that was held up says
    nothing of the entrant.
    """
    count, quickest, enough = _FIRST, math.inf, False
    while (sample := run(count)) is not None:
        quickest = min(quickest, max(sample.wall, 1e-9) / count)
        wanted = max(1, round(seconds / quickest))
        if enough and count >= wanted / 2:
            return wanted
        enough = count >= wanted / 2
        count = min(count * _GROWTH, wanted)
    return count
