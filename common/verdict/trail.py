"""Who wrote what was read, where a value was written more than once? Time tells.

A write can precede a read if it was entered no later than the read had left (intervals are
closed). The trail goes from the final value back to the opening one, at each read to the latest
write of that value that can precede it and is not yet on the trail; where that ends, one step
back. Every step is taken once, so the work grows with the number of operations only. Where a value
was written once there is no choice, and whole runs are passed in one step.
"""

from __future__ import annotations

import numpy as np

from common.history import scratch
from common.verdict.runs import Flags, Integers, Runs
from common.verdict.tree import ROOT, UNKNOWN
from common.verdict.writers import Writers

EVER = int(np.iinfo(np.int64).max)


def find_trail(
    read: Integers,
    written: Integers,
    entered: Integers,
    left: Integers,
    bounds: list[int],
    root: int,
    last: int,
) -> tuple[Flags | None, Integers, bool]:
    """Return which operations survived, every parent, and whether the stamps allow that order.

    ``bounds`` says where each process's operations begin. None survived when no trail leads to
    ``last``.
    """
    parent: Integers = scratch.full(len(read), UNKNOWN)
    trail = _Trail(Writers(written, entered, left, bounds, read), read, left, bounds, root)
    path = trail.walk(last)
    if path is None:
        return None, parent, True
    survived: Flags = scratch.full(len(read), 0, np.bool_)
    possible, before, latest = True, ROOT, np.iinfo(np.int64).min
    for at in scratch.parts(len(path)):
        nodes = path[at]
        survived[nodes] = True
        parent[nodes] = np.concatenate([[before], nodes[:-1]])
        # Nothing left before something earlier on the trail was entered.
        so_far = np.maximum.accumulate(np.maximum(entered[nodes], latest))
        possible &= bool((so_far <= left[nodes]).all())
        before, latest = nodes[-1], so_far[-1]
    for at in scratch.parts(len(read)):
        lost = np.flatnonzero(~survived[at]) + at.start
        parent[lost] = trail.writers.latest(lost, left[lost])
        unknown = lost[parent[lost] == UNKNOWN]
        parent[unknown[read[unknown] == root]] = ROOT
    return survived, parent, possible


class _Trail:
    """The way back through one row's operations."""

    def __init__(
        self, writers: Writers, read: Integers, left: Integers, bounds: list[int], root: int
    ) -> None:
        self.writers = writers
        self._read = read
        self._left = left
        self._root = root
        self._runs = Runs(left, bounds, self._follows)

    def _follows(self, operations: Integers, before: Integers) -> Flags:
        """Tell which read what the one before them in time wrote, and could have nowhere else."""
        follows = self.writers.alone(operations, before, self._left[operations])
        follows &= self._read[operations] != self._root
        return follows

    def walk(self, last: int) -> Integers | None:
        """Return the operations from the opening value to the ``last``; None: there is no way."""
        count = len(self._read)
        begins: Integers = scratch.empty(count, np.int64)
        ends: Integers = scratch.empty(count, np.int64)
        passed = scratch.full(count, 0, np.uint8)
        seen, froms, tos = passed.data, begins.data, ends.data
        runs, writers = self._runs, self.writers
        order, rank, start = runs.order.data, runs.rank.data, runs.start.data
        reads, left = self._read.data, self._left.data
        size = 0
        whole = writers.of_value(last)
        value, part, until = last, whole, EVER
        while True:
            operation = writers.take(*part, until)
            if operation is not None and not seen[rank[operation]]:
                end = rank[operation]
                begin = start[end]
                if begin < end:
                    met = np.flatnonzero(passed[begin:end])
                    passed[begin + met[-1] + 1 if len(met) else begin : end + 1] = 1
                    if len(met):
                        # The run leads into what was tried before: no way.
                        continue
                seen[end] = 1
                froms[size], tos[size] = begin, end
                size += 1
            elif value == self._root:
                return self._path(begins[:size], ends[:size])
            elif size:
                size -= 1
            else:
                return None
            if size:
                bottom = order[froms[size - 1]]
                value, part, until = reads[bottom], writers.of(bottom), left[bottom]
            else:
                value, part, until = last, whole, EVER

    def _path(self, begins: Integers, ends: Integers) -> Integers:
        """Return the operations of runs that were found from the last one back."""
        path: Integers = scratch.empty(len(self._read), np.int64)
        flat, order = path.data, self._runs.order.data
        size = 0
        for at in reversed(list(scratch.parts(len(begins)))):
            some = zip(begins[at].tolist(), ends[at].tolist(), strict=True)
            for begin, end in reversed(list(some)):
                if begin == end:
                    flat[size] = order[end]
                else:
                    path[size : size + end - begin + 1] = self._runs.order[begin : end + 1]
                size += end - begin + 1
        return path[:size]
