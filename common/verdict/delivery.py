"""Where did each job go? The records of offering, taking, passing on and delivering, by item."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.history.case import Case
from common.history.merge import Positions
from common.history.operations import Effect

Items = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Traffic:
    """The records of one run's jobs: positions in the history, those done only."""

    case: Case
    offers: Positions
    takes: Positions
    passes: Positions
    deliveries: Positions

    @property
    def every(self) -> Positions:
        """All of them, in the order of the history."""
        parts = (self.offers, self.takes, self.passes, self.deliveries)
        return np.sort(np.concatenate(parts))

    def items(self, positions: Positions) -> Items:
        """Return the jobs that the records at ``positions`` are about."""
        found: Items = self.case.history.gather("item", positions)
        return found

    def of(self, item: int, positions: Positions) -> list[int]:
        """Return those of ``positions`` that are about ``item``, by the time they ended."""
        same = positions[self.items(positions) == item]
        order = np.argsort(self.case.history.gather("left", same), kind="stable")
        chosen: list[int] = same[order].tolist()
        return chosen

    def first(self, item: int, positions: Positions) -> int | None:
        """Return the earliest of ``positions`` about ``item``."""
        return next(iter(self.of(item, positions)), None)

    def distinct(self, positions: Positions) -> Positions:
        """Return the earliest of ``positions`` (ascending) for each job, ordered by time."""
        order = np.argsort(self.case.history.gather("left", positions), kind="stable")
        _, firsts = np.unique(self.items(positions)[order], return_index=True)
        return positions[order][np.sort(firsts)]

    def priorities(self, channel: int) -> int:
        """Return how many priorities a channel tells apart; 1 when it ignores them."""
        plan = self.case.channel(channel)
        return int(plan.part.options.get("priorities", 1)) if plan else 1


def traffic(case: Case) -> Traffic:
    """Collect the records of a run's jobs."""
    select = case.history.select
    return Traffic(
        case,
        select(Effect.OFFER),
        select(Effect.TAKE),
        select(Effect.PASS),
        select(Effect.DELIVER),
    )
