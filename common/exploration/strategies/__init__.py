"""Ways to walk schedules: one file a strategy, each with a class ``Strategy``.

A strategy decides at each state who passes next; it never sees a value. ``begin`` starts another
schedule, ``choose`` is asked at each state, ``ended`` closes the schedule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from common.process.players import Stand


class State(NamedTuple):
    """Where the processes stand: ``stands`` by number (None: ended), ``enabled`` those that can go.

    ``last`` is who passed last, None at the beginning.
    """

    stands: list[Stand | None]
    enabled: list[int]
    last: int | None


@dataclass(frozen=True)
class Options:
    """What a walk can be told; each strategy takes what it knows.

    ``reduce``: leave out orders that differ only in steps that cannot influence each other;
    ``preemptions``: the most switches away from a process that could have gone on; ``depth``: how
    many ordering constraints a bug may need; ``seed`` of random choices.
    """

    reduce: bool = True
    preemptions: int | None = None
    depth: int = 3
    seed: int = 0


class Strategy(Protocol):
    """One walk; ``complete`` says that nothing is left to walk."""

    complete: bool

    def begin(self) -> bool:
        """Start the next schedule; False when there is none left."""

    def choose(self, state: State) -> int | None:
        """Return who passes; None when this schedule need not be followed to its end."""

    def ended(self) -> None:
        """Note that the schedule is over."""

    def proof(self, walked: int) -> str:
        """Return in words what ``walked`` schedules of this walk prove."""

    def save(self) -> dict[str, Any]:
        """Return what is needed to go on later, JSON-able."""

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from what was saved."""
