"""In which order did the operations of all processes happen? Windows of time, one after another.

The records of a process are in the order of its own time, or nearly so. So the next window of all
of them is found by looking at the next block of each, and nothing is ever sorted as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

Order = npt.NDArray[np.int64]

# Operations in a window, about.
WINDOW = 1 << 15


def windows(stamps: npt.NDArray[Any], bounds: list[int]) -> Iterator[Order]:
    """Yield the stable order of ``stamps`` in parts: what comes first, what next, and so on.

    ``bounds`` is where each process's stamps begin, and at the end their number. Equal stamps are
    always in one part. What of a process is out of order is kept back until its time has come.
    """
    step = max(1, WINDOW // max(1, len(bounds) - 1))
    blocks = [
        (np.arange(begin, end, step), _floors(stamps[begin:end], step), end)
        for begin, end in pairwise(bounds)
        if begin < end
    ]
    heads = [0] * len(blocks)
    waiting = np.empty(0, np.int64)
    until: Any = -np.inf
    while until is not None:
        # What is earlier than this is in the next block of its process, or was seen before.
        until = min(
            (
                floors[head + 1]
                for (_, floors, _), head in zip(blocks, heads, strict=True)
                if head + 1 < len(floors)
            ),
            default=None,
        )
        seen = [waiting]
        for which, (begins, floors, end) in enumerate(blocks):
            head = heads[which]
            if head < len(floors) and (until is None or floors[head] <= until):
                seen.append(np.arange(begins[head], min(begins[head] + step, end)))
                heads[which] += 1
        order = np.concatenate(seen)
        if until is not None:
            ready = stamps[order] < until
            waiting, order = order[~ready], order[ready]
        if len(order):
            order.sort()
            yield order[np.argsort(stamps[order], kind="stable")]


def _floors(stamps: npt.NDArray[Any], step: int) -> npt.NDArray[Any]:
    """Return for each block of ``step`` stamps the earliest one from its beginning on."""
    earliest = np.minimum.reduceat(stamps, np.arange(0, len(stamps), step))
    return np.minimum.accumulate(earliest[::-1])[::-1]
