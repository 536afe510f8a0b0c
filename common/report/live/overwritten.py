"""Which updates were certainly lost so far? Those that another one wrote over, seen in passing.

Two updates that read the same value of a row while both were under way: one wrote over the other.
What was built on a lost update is lost with it, which only the judge can tell: a lower bound.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

UPDATE = np.dtype(
    [
        ("row", "i8"), ("read", "f8"), ("written", "f8"), ("entered", "f8"), ("left", "f8"),
        ("who", "i8"), ("lost", "?"),
    ]
)  # fmt: skip
Updates = npt.NDArray[Any]

# How many of the latest updates are kept to be compared with the next ones. An update that lasts
# longer than so many others take is compared with fewer.
KEPT = 16_384


class Overwritten:
    """Updates that were written over; ``first`` is the first one seen, and what wrote over it."""

    def __init__(self, kept: int = KEPT) -> None:
        self.count = 0
        self.first: tuple[np.void, np.void] | None = None
        self._kept = kept
        self._recent: Updates = np.empty(0, UPDATE)

    def take(self, updates: Updates) -> None:
        """Take finished updates (``UPDATE``), each once, in any order."""
        if not len(updates):
            return
        pool = np.concatenate([self._recent, updates])
        pool = pool[np.lexsort((pool["left"], pool["read"], pool["row"]))]
        before, after = pool[:-1], pool[1:]
        # Stamps frame the accesses: only a strict overlap proves that both were inside at once.
        over = (before["row"] == after["row"]) & (before["read"] == after["read"])
        over &= after["entered"] < before["left"]
        fresh = np.flatnonzero(over & ~before["lost"])
        self.count += len(fresh)
        if self.first is None and len(fresh):
            at = int(fresh[np.argmin(before["left"][fresh])])
            self.first = (before[at].copy(), after[at].copy())
        before["lost"] |= over
        if len(pool) > self._kept:
            pool = pool[np.argpartition(pool["left"], -self._kept)[-self._kept :]]
        self._recent = pool
