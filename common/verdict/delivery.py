"""Where did each job go? The records of offering, taking, passing on and delivering, by item."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common import kinds
from common.history.case import Case
from common.history.merge import Positions
from common.history.operations import Effect
from common.verdict import unseen

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

    def done_by(self, item: int, who: set[str]) -> list[int]:
        """Return the updates that these processes made for ``item``: the work of an order."""
        updates = self.case.history.select(Effect.UPDATE)
        return [at for at in self.of(item, updates) if self.case.process(at) in who]

    def distinct(self, positions: Positions) -> Positions:
        """Return the earliest of ``positions`` (ascending) for each job, ordered by time."""
        order = np.argsort(self.case.history.gather("left", positions), kind="stable")
        _, firsts = np.unique(self.items(positions)[order], return_index=True)
        return positions[order][np.sort(firsts)]

    def own(self, channel: int) -> bool:
        """Tell whether each receiver has a queue of its own in this channel (``per``)."""
        plan = self.case.channel(channel)
        return plan is not None and plan.per is not None

    def one_line(self, channel: int) -> bool:
        """Tell whether all messages of this channel stand in one line, whoever sent them."""
        plan = self.case.channel(channel)
        if plan is None:
            return True
        return bool(getattr(kinds.load(kinds.CHANNELS, plan.part.kind), "ONE_LINE", True))

    def sources(self, takes: Positions) -> npt.NDArray[np.int64]:
        """Return for each of ``takes`` a number for the queue that it came from."""
        history = self.case.history
        found = history.objects[takes].astype(np.int64)
        takers = np.searchsorted(history.bounds, takes, side="right") - 1
        for channel in np.unique(found).tolist():
            if self.own(channel):
                mine = found == channel
                found[mine] += 256 * (1 + takers[mine])
        return found

    def silenced(self) -> bool:
        """Tell whether a process died, perhaps before it could record what it had sent."""
        ends = self.case.outcome.processes
        return any(each.phase != "done" or each.signal is not None for each in ends)

    def priorities(self, channel: int) -> int:
        """Return how many priorities a channel tells apart; 1 when it ignores them."""
        plan = self.case.channel(channel)
        return int(plan.part.options.get("priorities", 1)) if plan else 1


def earliest(items: Items, stamps: npt.NDArray[np.int64]) -> tuple[Items, npt.NDArray[np.int64]]:
    """Return the different ``items``, ascending, and the first of the ``stamps`` of each."""
    order = np.lexsort((stamps, items))
    found, firsts = np.unique(items[order], return_index=True)
    return found, stamps[order][firsts]


def lookup(known: Items, wanted: Items) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return where in ``known``, which ascend, each of ``wanted`` stands, and whether it does."""
    at = np.searchsorted(known, wanted)
    there = np.append(known, np.uint64(0))[at] == wanted
    return at, there & (at < len(known))


def traffic(case: Case) -> Traffic:
    """Collect the records of a run's jobs, but those of which not all was recorded."""
    effects = (Effect.OFFER, Effect.TAKE, Effect.PASS, Effect.DELIVER)
    found = [case.history.select(effect) for effect in effects]
    blind = [channel.index for channel in unseen.nameless(case.plan)]
    if blind:
        history = case.history
        passed = np.concatenate(found[:3])
        items = history.gather("item", np.sort(passed))
        hidden = np.unique(items[np.isin(history.objects[np.sort(passed)], blind)])
        found = [each[~np.isin(history.gather("item", each), hidden)] for each in found]
    return Traffic(case, *found)
