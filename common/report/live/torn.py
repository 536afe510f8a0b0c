"""Snapshots of a row that no one ever wrote, as far as they were seen.

A snapshot may see rates whose change is not recorded yet: it is torn once both halves are known,
each from a row that was written, and no row had both.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

PAIR = np.dtype([("row", "i8"), ("sell", "f8"), ("buy", "f8"), ("who", "i8")])
Pairs = npt.NDArray[Any]

# How many of the latest changes are known, and how many undecided snapshots are kept.
KEPT = 4096


class Torn:
    """Torn snapshots; ``first`` is the first one seen. ``opening`` are the rows as they began."""

    def __init__(self, opening: Pairs) -> None:
        self.count = 0
        self.first: np.void | None = None
        self._opening = opening
        self._written: Pairs = np.empty(0, PAIR)
        self._open: Pairs = np.empty(0, PAIR)

    def take(self, changes: Pairs, snapshots: Pairs) -> None:
        """Take finished changes and snapshots (``PAIR``), each once."""
        if not len(changes) and not len(snapshots):
            return
        written = np.concatenate([self._written, changes])
        known = np.concatenate([self._opening, written])
        seen = np.concatenate([self._open, snapshots])
        seen = seen[~_among(seen, known, "sell", "buy")]
        torn = _among(seen, known, "sell") & _among(seen, known, "buy")
        self.count += int(np.count_nonzero(torn))
        if self.first is None and torn.any():
            self.first = seen[int(np.argmax(torn))].copy()
        self._written = written[-KEPT:]
        self._open = seen[~torn][-KEPT:]


def _among(seen: Pairs, known: Pairs, *fields: str) -> npt.NDArray[np.bool_]:
    """Tell which of ``seen`` have the row and all ``fields`` of one of ``known``."""
    columns = [
        np.unique(np.concatenate([known[name], seen[name]]), return_inverse=True)[1]
        for name in ("row", *fields)
    ]
    keys = np.zeros(len(known) + len(seen), np.int64)
    for column in columns:
        keys = keys * len(keys) + column
    found: npt.NDArray[np.bool_] = np.isin(keys[len(known) :], keys[: len(known)])
    return found
