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
KEPT = 8_192


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
        # Each process's are in order: a stable sort has only to merge them.
        order = np.argsort(pool["left"], kind="stable")
        among = order[_met(pool["entered"][order], pool["left"][order])]
        if len(among):
            pool["lost"][among] = self._look(pool[among])
        self._recent = pool[order[-self._kept :]]

    def _look(self, pool: Updates) -> npt.NDArray[np.bool_]:
        """Count those of ``pool``, in order of ``left``, that were written over; tell which."""
        order = np.lexsort((pool["read"], pool["row"]))
        before, after = pool[order[:-1]], pool[order[1:]]
        over = (before["row"] == after["row"]) & (before["read"] == after["read"])
        over &= after["entered"] < before["left"]
        fresh = np.flatnonzero(over & ~before["lost"])
        self.count += len(fresh)
        if self.first is None and len(fresh):
            at = int(fresh[np.argmin(before["left"][fresh])])
            self.first = (before[at], after[at])
        lost: npt.NDArray[np.bool_] = pool["lost"].copy()
        lost[order[:-1][over]] = True
        return lost


def _met(entered: npt.NDArray[np.float64], left: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Tell which sections, in order of ``left``, strictly overlap another one.

    Stamps frame the accesses: equal ones prove nothing.
    """
    met = np.zeros(len(left), np.bool_)
    met[1:] = entered[1:] < left[:-1]
    if met.any():
        earliest = np.minimum.accumulate(entered[::-1])[::-1]
        met[:-1] |= earliest[1:] < left[:-1]
    return met
