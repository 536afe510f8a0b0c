"""Who wrote what was read, where a value was written more than once? Time tells.

A write can precede a read if it was entered no later than the read had left (intervals are
closed). The trail goes from the final value back to the opening one, at each read to the latest
write of that value that can precede it and is not yet on the trail; where that ends, one step
back. Every step is taken once, so the work grows with the number of operations only.
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
import numpy.typing as npt

ROOT, UNKNOWN = -1, -2
EVER = float("inf")


class _Writers:
    """The operations that wrote one value, by the time at which they were entered."""

    def __init__(self) -> None:
        self.operations: list[int] = []
        self.entered: list[int] = []
        # free[n]: how many of the first n are before the last one still to be taken.
        self.free: list[int] = [0]

    def add(self, operation: int, entered: int) -> None:
        self.operations.append(operation)
        self.entered.append(entered)
        self.free.append(len(self.operations))

    def take(self, until: float) -> int | None:
        """Take the latest writer entered by ``until`` that nobody took before."""
        n = bisect_right(self.entered, until)
        path = []
        while self.free[n] != n:
            path.append(n)
            n = self.free[n]
        for passed in path:
            self.free[passed] = n
        if not n:
            return None
        self.free[n] = n - 1
        return self.operations[n - 1]

    def latest(self, until: float) -> int | None:
        """Return the latest writer entered by ``until``, taken or not."""
        n = bisect_right(self.entered, until)
        return self.operations[n - 1] if n else None


def find_trail(
    read: npt.NDArray[np.int64],
    written: npt.NDArray[np.int64],
    entered: npt.NDArray[np.int64],
    left: npt.NDArray[np.int64],
    root: int,
    last: int,
) -> tuple[npt.NDArray[np.bool_] | None, npt.NDArray[np.int64], bool]:
    """Return which operations survived, every parent, and whether the stamps allow that order.

    None survived when no trail leads to ``last``.
    """
    reads, ends = read.tolist(), left.tolist()
    writers: dict[int, _Writers] = {}
    for operation in np.lexsort((left, entered)).tolist():
        group = writers.setdefault(int(written[operation]), _Writers())
        group.add(operation, int(entered[operation]))
    parent = np.full(len(reads), UNKNOWN)
    path = _walk(reads, ends, writers, root, last)
    if path is None:
        return None, parent, True
    survived = np.zeros(len(reads), dtype=bool)
    survived[path] = True
    parent[path] = [*path[1:], ROOT][: len(path)]
    for lost in np.flatnonzero(~survived).tolist():
        wrote = writers.get(reads[lost])
        writer = wrote.latest(ends[lost]) if wrote else None
        if writer is None:
            writer = ROOT if reads[lost] == root else UNKNOWN
        parent[lost] = writer
    # From the opening value on: nothing left before something earlier on the trail was entered.
    order = path[::-1]
    possible = bool((np.maximum.accumulate(entered[order]) <= left[order]).all())
    return survived, parent, possible


def _walk(
    reads: list[int], ends: list[int], writers: dict[int, _Writers], root: int, last: int
) -> list[int] | None:
    path: list[int] = []
    value, until = last, EVER
    while True:
        group = writers.get(value)
        operation = group.take(until) if group else None
        if operation is not None:
            path.append(operation)
        elif value == root:
            return path
        elif path:
            path.pop()
        else:
            return None
        value, until = (reads[path[-1]], ends[path[-1]]) if path else (last, EVER)
