"""Did processes really interleave? Counts critical sections that overlap, and those in contention.

Intervals are closed and their stamps lie outside what they frame, so equal stamps prove nothing:
a section overlaps when it was entered strictly before another process had left an earlier one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from common.history.merge import History, Positions
from common.history.operations import Effect

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
    chosen = counted[history.codes]
    chosen &= history.done
    keys = number[history.codes].astype(np.uint16)
    keys <<= 8
    keys |= history.objects
    found: dict[str, Place] = {}
    visitors: dict[str, set[int]] = {}
    for key in np.flatnonzero(np.bincount(keys[chosen], minlength=1)).tolist():
        positions = np.flatnonzero((keys == key) & chosen)
        kind, thing = _PLACES[key >> 8], key & 255
        name = f"{CHANNEL} {thing}" if kind == CHANNEL else kind
        place = found.setdefault(name, Place())
        cuts = np.searchsorted(positions, history.bounds)
        visitors.setdefault(name, set()).update(np.flatnonzero(np.diff(cuts)).tolist())
        place.processes = len(visitors[name])
        _count(history, positions, place, framed=kind != CHANNEL)
    return found


def _count(history: History, positions: Positions, place: Place, *, framed: bool) -> None:
    asked = history.gather("asked", positions)
    left = history.gather("left", positions)
    place.contended += overlapping(asked, left)
    entered = history.gather("entered", positions)
    # Where the kernel synchronises a channel, asking and entering are one moment: no section.
    if framed or (asked != entered).any():
        del asked
        place.sections += len(positions)
        place.overlaps += overlapping(entered, left)


def overlapping(begins: npt.NDArray[Any], ends: npt.NDArray[Any]) -> int:
    """Return how many intervals begin strictly inside an earlier one of another process.

    The intervals of one process do not overlap each other, so a later end among those that began
    earlier is always another process's.
    """
    order = np.argsort(begins, kind="stable")
    begins, ends = begins[order], ends[order]
    del order
    # An interval without length at the edge of another proves nothing.
    inside = begins[1:] < np.maximum.accumulate(ends)[:-1]
    inside &= ends[1:] > begins[1:]
    return int(np.count_nonzero(inside))
