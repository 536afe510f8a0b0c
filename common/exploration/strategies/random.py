"""Each time any of those who can go on, with equal chance."""

from __future__ import annotations

import random
from typing import Any

from common.exploration.strategies import Options, State


class Strategy:
    """The walk, which never ends by itself: schedule number n is the same for the same seed."""

    complete = False

    def __init__(self, options: Options) -> None:
        self.seed = options.seed
        self.number = 0
        self.source = random.Random()

    def begin(self) -> bool:
        """Start the next schedule."""
        self.source.seed(f"{self.seed}/{self.number}")
        self.number += 1
        return True

    def choose(self, state: State) -> int | None:
        """Return any of those who can go on."""
        return self.source.choice(state.enabled) if state.enabled else None

    def ended(self) -> None:
        """Do nothing: the next schedule does not depend on this one."""

    def proof(self, walked: int) -> str:
        """Say that chance proves nothing."""
        return (
            f"{walked:,} schedules drawn at random, of an unknown number: what was not found may "
            "still be there"
        )

    def save(self) -> dict[str, Any]:
        """Return the number of the schedule that comes next."""
        return {"number": self.number - 1}

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on with that number."""
        self.number = saved["number"]
