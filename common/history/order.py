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

from common.history import scratch

Order = npt.NDArray[np.int64]

# Operations in a window, about.
WINDOW = 1 << 14

_BITS = 63


def windows(stamps: npt.NDArray[Any], bounds: list[int]) -> Iterator[Order]:
    """Yield the stable order of ``stamps`` in parts: what comes first, what next, and so on.

    ``bounds`` is where each process's stamps begin, and at the end their number. Equal stamps are
    always in one part.
    """
    parts = [(begin, end) for begin, end in pairwise(bounds) if begin < end]
    rising = all(_rises(stamps[begin:end]) for begin, end in parts)
    return (_merged if rising else _sifted)(stamps, parts, max(1, WINDOW // max(1, len(parts))))


def _rises(stamps: npt.NDArray[Any]) -> bool:
    # One number more than a part, so that each is compared with the next one.
    parts = (stamps[at.start : at.stop + 1] for at in scratch.parts(len(stamps)))
    return all((part[1:] >= part[:-1]).all() for part in parts)


def _merged(stamps: npt.NDArray[Any], parts: list[tuple[int, int]], step: int) -> Iterator[Order]:
    """Yield the order where the stamps of each process rise: what is next stands in front."""
    size = step
    while parts:
        # What is earlier than this is in the next block of its process.
        until = min((stamps[head + size] for head, end in parts if head + size < end), default=None)
        cuts = [
            end if until is None else head + int(np.searchsorted(stamps[head:end][:size], until))
            for head, end in parts
        ]
        taken = [(head, cut) for (head, _), cut in zip(parts, cuts, strict=True) if head < cut]
        # A block of nothing but equal stamps says nothing of what comes first.
        size = step if taken else 2 * size
        if taken:
            order = np.concatenate([np.arange(head, cut) for head, cut in taken])
            yield order[_stable(np.concatenate([stamps[head:cut] for head, cut in taken]))]
        parts = [(cut, end) for cut, (_, end) in zip(cuts, parts, strict=True) if cut < end]


def _sifted(stamps: npt.NDArray[Any], parts: list[tuple[int, int]], step: int) -> Iterator[Order]:
    """Yield the order where they do not: what is out of it is kept back until its time has come."""
    blocks = [
        (np.arange(begin, end, step), _floors(stamps[begin:end], step), end) for begin, end in parts
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
            yield order[_stable(stamps[order])]


def _stable(stamps: npt.NDArray[Any]) -> Order:
    """Return the stable order of ``stamps``.

    Each with its place in its lowest bits is a number of its own; to sort numbers is quicker than
    to sort their places.
    """
    low, places = stamps.min(), len(stamps).bit_length()
    if int(stamps.max()) - int(low) >> (_BITS - places):
        return np.argsort(stamps, kind="stable")
    keys: Order = stamps - low
    keys <<= places
    keys |= np.arange(len(stamps))
    keys.sort()
    keys &= (1 << places) - 1
    return keys


class Kept:
    """Windows that were found once, to be gone through again."""

    def __init__(self, parts: Iterator[Order]) -> None:
        order = scratch.Growing(np.int64)
        self._ends = [0]
        for part in parts:
            order.append(part)
            self._ends.append(self._ends[-1] + len(part))
        self._order = order.array()

    def __iter__(self) -> Iterator[Order]:
        for begin, end in pairwise(self._ends):
            yield self._order[begin:end]


def _floors(stamps: npt.NDArray[Any], step: int) -> npt.NDArray[Any]:
    """Return for each block of ``step`` stamps the earliest one from its beginning on."""
    earliest = np.minimum.reduceat(stamps, np.arange(0, len(stamps), step))
    return np.minimum.accumulate(earliest[::-1])[::-1]
