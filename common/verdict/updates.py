"""What became of each update of a row? Which were lost, and to which write."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from common.history import scratch
from common.history.merge import Positions
from common.verdict import siblings
from common.verdict.amounts import sum_of
from common.verdict.runs import Flags, Integers


@dataclass
class Lineage:
    """The updates of one row: positions in the history, and what became of each.

    ``lost`` lists the operations off the path to the final stock, None when there is no such
    path; ``missing`` is expected less actual stock in units, None when the values are not exact.
    ``wrong`` and ``strange`` are positions of records that do not add up, and that read a value
    which no recorded operation wrote; ``suspect`` says who may have.
    """

    positions: Positions
    delta: Integers
    left: Integers
    read: Integers
    parent: Integers
    lost: Integers | None = None
    missing: int | None = None
    wrong: Positions = field(default_factory=lambda: np.empty(0, np.int64))
    strange: Positions = field(default_factory=lambda: np.empty(0, np.int64))
    suspect: str = "another program writes to this row"
    doubts: list[str] = field(default_factory=list)

    @cached_property
    def survived(self) -> Flags:
        """Tell which operations lie on the path to the final stock."""
        assert self.lost is not None
        survived: Flags = scratch.full(len(self.parent), 1, np.bool_)
        for at in scratch.parts(len(self.lost)):
            survived[self.lost[at]] = False
        return survived

    @cached_property
    def followed(self) -> Flags:
        """Tell which operations were written over by one that had read the same value."""
        return siblings.overwritten(self.parent, self.read, self.left, self.survived)

    def lost_sum(self, *, absolute: bool = False) -> int:
        """Return the sum of the lost amounts, or of their absolute values, in units."""
        assert self.lost is not None
        amounts = (self.delta[self.lost[at]] for at in scratch.parts(len(self.lost)))
        return sum_of(abs(part) if absolute else part for part in amounts)

    def overwritten(self) -> Flags:
        """Tell which lost operations were written over by one that had read the same value.

        The others were lost with an operation that had read what they wrote.
        """
        assert self.lost is not None
        lost = self.lost
        return scratch.join((self.followed[lost[at]] for at in scratch.parts(len(lost))), np.bool_)

    def overwriter(self, lost: int) -> tuple[int, int | None]:
        """Return what carried a lost operation's amount last, and the write that went over it.

        The carrier is the operation or its nearest ancestor with a later sibling: one that had
        read the same value. The next of them wrote over it; one that survived counts as the last.
        """
        node, seen = lost, set[int]()
        # Whoever survived came last, and so did all before it.
        while node >= 0 and node not in seen and not self.survived[node]:
            if self.followed[node]:
                return node, self._next(node)
            seen.add(node)
            node = int(self.parent[node])
        return lost, None

    def _next(self, node: int) -> int:
        """Return the next of those that read the same value, in time."""

        def order(each: int) -> tuple[bool, int, int]:
            return bool(self.survived[each]), int(self.left[each]), each

        found: list[int] = []
        for at in scratch.parts(len(self.parent)):
            same = self.parent[at] == self.parent[node]
            same &= self.read[at] == self.read[node]
            kin: list[int] = (np.flatnonzero(same) + at.start).tolist()
            found += [each for each in kin if order(each) > order(node)]
        return min(found, key=order)
