"""What did one cell of the table hold, and when? What each process wrote to it, in its order.

A cell is read and written whole, inside the interval of the operation that did it. A value can
have been read if one of those who wrote it began before the reading ended, and nobody surely wrote
after it and before the reading began: that is, entered after it had left, and left before.
Intervals are closed, and where values repeat, one writer that fits is enough.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from common.history import scratch
from common.history.case import Case
from common.history.merge import History, Positions
from common.verdict.wording import number

Times = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

BEFORE = np.iinfo(np.int64).min


class _Writes(NamedTuple):
    """What one process wrote, by the time at which it left.

    ``latest`` is the latest entry so far, ``soonest`` the first one from here on.
    """

    values: Values
    left: Times
    latest: Times
    soonest: Times


class Cell:
    """One cell with its ``opening`` value, and who changed it: the records at ``writes``.

    ``written`` names the value of such a record that was written.
    """

    def __init__(self, history: History, opening: float, writes: Positions, written: str) -> None:
        self.opening, self.writes, self.written = opening, writes, written
        self._history = history
        cuts = np.searchsorted(writes, history.bounds).tolist()
        self._writes = [
            _written(history, writes[begin:end], written)
            for begin, end in pairwise(cuts)
            if begin < end
        ]

    def impossible(self, sightings: Positions, read: str) -> Positions:
        """Return those of the records at ``sightings`` whose value ``read`` was not there then."""
        history, found = self._history, scratch.Growing(np.int64)
        for which, within in history.pieces(sightings):
            cells = (history.cells(name, which, within) for name in (read, "entered", "left"))
            strange = within[~self.possible(*cells)]
            found.append(strange + history.bounds[which])
        return found.array()

    def objection(self, case: Case, sighting: int, read: str) -> str:
        """Say of such a record what is wrong with the value that it saw."""
        value = case.history.record(sighting)[read]
        earlier = case.source(self.writes, sighting, written=self.written, read=read)
        told = f"saw {number(value, decimals=7)}, which"
        if earlier is not None or value == self.opening:
            return f"{told} had been overwritten before that"
        if (self._history.gather(self.written, self.writes) == value).any():
            return f"{told} was written only after that"
        return f"{told} no recorded operation wrote"

    def possible(self, values: Values, entered: Times, left: Times) -> Flags:
        """Tell which of ``values`` can have been read between ``entered`` and ``left``."""
        # The latest entry of all who had certainly written before the reading began.
        over = np.full(len(values), BEFORE)
        for writes in self._writes:
            at = np.searchsorted(writes.left, entered) - 1
            np.maximum(over, np.where(at < 0, BEFORE, writes.latest[at]), out=over)
        found: Flags = (values == self.opening) & (over == BEFORE)
        for writes in self._writes:
            low = np.searchsorted(writes.left, over)
            high = np.searchsorted(writes.soonest, left, side="right")
            for which, place in _ranges(low, high):
                found[which[writes.values[place] == values[which]]] = True
        return found


def _written(history: History, writes: Positions, name: str) -> _Writes:
    entered, left = history.gather("entered", writes), history.gather("left", writes)
    values = history.gather(name, writes)
    if not _ascends(left):
        order = np.argsort(left, kind="stable")
        values, entered, left = values[order], entered[order], left[order]
    if _ascends(entered):
        return _Writes(values, left, entered, entered)
    soonest = np.minimum.accumulate(entered[::-1])[::-1]
    return _Writes(values, left, np.maximum.accumulate(entered), soonest)


def _ascends(times: Times) -> bool:
    # Each part with the first of the next one.
    return all(
        (np.diff(times[at.start : at.stop + 1]) >= 0).all() for at in scratch.parts(len(times))
    )


def _ranges(low: Times, high: Times) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    """Yield in parts which range it is and a place in it, for all from ``low`` to ``high``."""
    counts = np.maximum(high - low, 0)
    ends = np.cumsum(counts)
    for part in scratch.parts(int(ends[-1]) if len(ends) else 0):
        places = np.arange(part.start, part.stop)
        which = np.searchsorted(ends, places, side="right")
        yield which, places - (ends - counts)[which] + low[which]
