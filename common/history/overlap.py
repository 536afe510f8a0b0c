"""Did processes really interleave? Counts critical sections that overlap, and those in contention.

Intervals are closed and their stamps lie outside what they frame, so equal stamps prove nothing:
a section overlaps when it was entered strictly before another process had left an earlier one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.history import scratch
from common.history.merge import History
from common.history.sections import ACTS, CHANNEL, PAPER, REFUSED, SPOOL, TABLE, Sections

__all__ = ["CHANNEL", "PAPER", "TABLE", "Place", "places"]


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
    found: dict[str, Place] = {}
    visitors: dict[str, set[int]] = {}
    for (kind, number), every in history.sections.items():
        done = every.only(np.arange(ACTS) < REFUSED)
        if not len(done):
            continue
        name = f"{CHANNEL} {number}" if kind == CHANNEL else kind
        place = found.setdefault(name, Place())
        visitors.setdefault(name, set()).update(np.flatnonzero(np.diff(done.bounds)).tolist())
        place.processes = len(visitors[name])
        place.contended += done.contended
        # Where the kernel synchronises a channel, asking and entering are one moment: no section.
        # Nor in a spool: its own lock puts the moves into an order, which its journal holds.
        if kind not in (CHANNEL, SPOOL) or _waited(done):
            place.sections += len(done)
            place.overlaps += done.overlaps
    return found


def _waited(done: Sections) -> bool:
    asked, entered = done.column("asked"), done.column("entered")
    return any((asked[part] != entered[part]).any() for part in scratch.parts(len(done)))
