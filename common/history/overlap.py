"""Did processes really interleave? Counts critical sections that overlap, and those in contention.

Intervals are closed and their stamps lie outside what they frame, so equal stamps prove nothing:
a section overlaps when it was entered strictly before another process had left an earlier one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from common.history import scratch
from common.history.merge import TIMES, History
from common.history.operations import Effect
from common.history.order import windows

TABLE, CHANNEL, PAPER = "table", "channel", "paper"
_PLACES = (TABLE, CHANNEL, PAPER)


@dataclass
class Place:
    """What happened at one place: the table, one channel, or the paper.

    ``sections`` is the number of critical sections (0 where the kernel synchronises),
    ``overlaps`` how many were entered while another process was inside one on the same object;
    ``contended`` counts the same from the moment at which the lock was asked for; ``processes``
    is how many processes came here.
    """

    sections: int = 0
    overlaps: int = 0
    contended: int = 0
    processes: int = 0


def places(history: History) -> dict[str, Place]:
    """Return what happened at each place, by name: ``table``, ``paper``, ``channel 0``."""
    number = np.zeros(256, dtype=np.uint8)
    counted = np.zeros(256, dtype=bool)
    for code, operation in history.operations.items():
        number[code] = _PLACES.index(operation.place)
        # A page is a part of a job, whose section frames all its pages.
        counted[code] = operation.effect is not Effect.PAGE
    found: dict[str, Place] = {}
    visitors: dict[str, set[int]] = {}
    for key, sections in _by_place(history, number, counted).items():
        kind, thing = _PLACES[key >> 8], key & 255
        name = f"{CHANNEL} {thing}" if kind == CHANNEL else kind
        place = found.setdefault(name, Place())
        visitors.setdefault(name, set()).update(np.flatnonzero(sections.counts).tolist())
        place.processes = len(visitors[name])
        _count(sections, place, framed=kind != CHANNEL)
    return found


class _Sections:
    """The stamps of one place's critical sections, process after process; ``counts`` of each."""

    def __init__(self, processes: int) -> None:
        self.counts = np.zeros(processes, np.int64)
        self.stamps = {name: scratch.Growing(np.int64) for name in TIMES}


def _by_place(
    history: History, number: npt.NDArray[np.uint8], counted: npt.NDArray[np.bool_]
) -> dict[int, _Sections]:
    """Return the sections of each place: the ``number`` of its kind × 256 + the object."""
    found: dict[int, _Sections] = {}
    for which, begin, end in history.slices():
        start = history.bounds[which]
        here = slice(start + begin, start + end)
        codes = history.codes[here]
        chosen = counted[codes] & history.done[here]
        keys = number[codes].astype(np.uint16) << 8 | history.objects[here]
        stamps = {name: history.cells(name, which, slice(begin, end)) for name in TIMES}
        for key in np.flatnonzero(np.bincount(keys[chosen])).tolist():
            mine = np.flatnonzero(chosen & (keys == key))
            sections = found.setdefault(key, _Sections(len(history.processes)))
            sections.counts[which] += len(mine)
            for name in TIMES:
                sections.stamps[name].append(stamps[name][mine])
    return dict(sorted(found.items()))


def _count(sections: _Sections, place: Place, *, framed: bool) -> None:
    asked, entered, left = (sections.stamps[name].array() for name in TIMES)
    bounds = [0, *np.cumsum(sections.counts).tolist()]
    place.contended += overlapping(asked, left, bounds)
    # Where the kernel synchronises a channel, asking and entering are one moment: no section.
    if framed or any((asked[part] != entered[part]).any() for part in scratch.parts(len(asked))):
        place.sections += len(asked)
        place.overlaps += overlapping(entered, left, bounds)


def overlapping(
    begins: npt.NDArray[Any], ends: npt.NDArray[Any], bounds: list[int] | None = None
) -> int:
    """Return how many intervals begin strictly inside an earlier one of another process.

    The intervals of one process do not overlap each other, so a later end among those that began
    earlier is always another process's. ``bounds`` is where each process's intervals begin, and at
    the end their number; without it they are in any order.
    """
    count = 0
    # The latest end so far; nothing has ended before the first has begun.
    latest = np.iinfo(np.int64).min
    for order in windows(begins, bounds or [0, len(begins)]):
        first, last = begins[order], ends[order]
        before = np.maximum.accumulate(np.concatenate([[latest], last]))
        latest = before[-1]
        # An interval without length at the edge of another proves nothing.
        count += int(np.count_nonzero((first < before[:-1]) & (last > first)))
    return count
