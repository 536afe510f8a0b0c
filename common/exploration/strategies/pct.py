"""Probabilistic concurrency testing: random priorities, lowered at a few random steps.

A bug of depth d needs d ordering constraints. Of n processes with k steps in all, one schedule
finds it with a probability of at least 1/(n·k^(d-1)), whatever the bug (Burckhardt, Kothari,
Musuvathi and Nagarakatti, ASPLOS 2010).
"""

from __future__ import annotations

import random
from typing import Any

from common.exploration.strategies import Options, State


class Strategy:
    """The walk, which never ends by itself; a seed and the steps seen draw the same schedules."""

    complete = False

    def __init__(self, options: Options) -> None:
        self.seed = options.seed
        self.depth = options.depth
        self.number = 0
        # The most steps that a schedule had: the first one tells.
        self.steps = 1
        # Schedules that were drawn with that number of steps: the bound speaks of no others.
        self.drawn = 0
        self.processes = 1
        self._source = random.Random()
        self._step = 0
        self._priorities: list[int] = []
        self._lowered: dict[int, int] = {}

    def begin(self) -> bool:
        """Draw priorities and the steps at which the one who would go is put behind all others."""
        self._source.seed(f"{self.seed}/{self.number}")
        self.number += 1
        self._step = 0
        self._priorities = []
        drawn = [self._source.randint(1, self.steps) for _ in range(self.depth - 1)]
        # The lowest priorities of all; a later change is lower still.
        self._lowered = {step: -1 - at for at, step in enumerate(drawn)}
        return True

    def choose(self, state: State) -> int | None:
        """Return the one of highest priority, after lowering it if this is such a step."""
        if not self._priorities:
            self.processes = len(state.stands)
            self._priorities = list(range(self.processes))
            self._source.shuffle(self._priorities)
        if not state.enabled:
            return None
        self._step += 1
        first = max(state.enabled, key=lambda number: self._priorities[number])
        if self._step in self._lowered:
            self._priorities[first] = self._lowered.pop(self._step)
            first = max(state.enabled, key=lambda number: self._priorities[number])
        return first

    def ended(self) -> None:
        """Remember the longest schedule."""
        self.drawn += 1
        if self._step > self.steps:
            self.steps, self.drawn = self._step, 0

    def proof(self, walked: int) -> str:
        """Give the bound, and what it comes to over all schedules."""
        once = 1 / (self.processes * self.steps ** (self.depth - 1))
        missed = (1 - once) ** self.drawn
        since = "" if self.drawn == walked else ", drawn since the longest was known,"
        return (
            f"each schedule of up to {self.steps:,} steps finds a bug of depth {self.depth} with a "
            f"probability of at least 1/({self.processes} × {self.steps}^{self.depth - 1}) = "
            f"{once:.2g}; that all {self.drawn:,}{since} miss one has a probability of at most "
            f"{missed:.2g}"
        )

    def save(self) -> dict[str, Any]:
        """Return the number of the schedule that comes next, and what was learnt."""
        return {
            "number": self.number - 1,
            "steps": self.steps,
            "drawn": self.drawn,
            "processes": self.processes,
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on with that number."""
        self.number, self.steps = saved["number"], saved["steps"]
        self.drawn, self.processes = saved["drawn"], saved["processes"]
