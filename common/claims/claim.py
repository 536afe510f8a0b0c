"""What a sentence of the lecture is, what was seen of it, and where its experiment is found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from common import kinds

if TYPE_CHECKING:
    from common.claims.lab import Lab

MECHANISMS = "common.claims.mechanisms"

# The verdicts of an experiment, and of one that came to no end.
HOLDS, FAILS, DEPENDS, UNDECIDED = "holds", "does not hold", "depends", "undecided"
VERDICTS = (HOLDS, FAILS, DEPENDS, UNDECIDED)


class Claim(NamedTuple):
    """One sentence: its name (text A or B, and a number), its line in that text, what it says."""

    name: str
    line: int
    says: str


class Shown(NamedTuple):
    """What was seen: a verdict, the figure that it rests on, and one line of why."""

    verdict: str
    figure: str
    why: str


Seen = Shown | Mapping[str, Shown]
Work = TypeVar("Work", bound="Callable[[Lab], Seen]")


# The sentences that each function shows, in the order in which they stand above it.
_BOUND: dict[Callable[[Lab], Seen], tuple[Claim, ...]] = {}


class Experiment(NamedTuple):
    """A function that shows some claims, and the mechanism that it belongs to."""

    mechanism: str
    name: str
    claims: tuple[Claim, ...]
    work: Callable[[Lab], Seen]

    @property
    def setup(self) -> str:
        """What is set up and done, in words."""
        return " ".join((self.work.__doc__ or "").split())


def holds(fact: bool, figure: str, why: str) -> Shown:
    """Return HOLDS where ``fact`` is true, and FAILS where it is not."""
    return Shown(HOLDS if fact else FAILS, figure, why)


def claim(name: str, line: int, says: str) -> Callable[[Work], Work]:
    """Bind the sentence ``name`` (at ``line`` of its text) to the experiment that follows."""

    def bind(work: Work) -> Work:
        _BOUND[work] = (Claim(name, line, says), *_BOUND.get(work, ()))
        return work

    return bind


def experiments(mechanism: str) -> list[Experiment]:
    """Return the experiments of one mechanism, as they stand in its file."""
    module = kinds.load(MECHANISMS, mechanism)
    found = [work for work in vars(module).values() if callable(work) and work in _BOUND]
    return [Experiment(mechanism, work.__name__, _BOUND[work], work) for work in found]


def every() -> list[Experiment]:
    """Return all experiments."""
    return [one for mechanism in kinds.names(MECHANISMS) for one in experiments(mechanism)]


def definitions() -> dict[str, str]:
    """Return the sentences that need no experiment, each with the reason."""
    found: dict[str, str] = {}
    for mechanism in kinds.names(MECHANISMS):
        module: ModuleType = kinds.load(MECHANISMS, mechanism)
        found.update(getattr(module, "DEFINITIONS", {}))
    return found


def order(name: str) -> tuple[str, int]:
    """Return the key by which claims are sorted: by text, then as they stand in it."""
    return name[0], int(name[1:])
