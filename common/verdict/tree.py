"""Who wrote what each operation read, where no value was written twice? The value itself tells.

Operations form a tree: the parent of each is the one whose written value it read. The path from
the final value back to the opening one is what survived. Most operations read what the one before
them in time wrote; only the others have to be searched for.
"""

from __future__ import annotations

import numpy as np

from common.history import scratch
from common.verdict.runs import Flags, Integers, Runs

ROOT, UNKNOWN = -1, -2

# A mark is as many bits of a value times an odd number: two values seldom have the same.
_BITS = 18
_ODD = np.uint64(0x9E3779B97F4A7C15)


class Tree:
    """The tree of one row's operations; all arrays have one number for each of them.

    ``read`` and ``written`` are values, ``left`` times, ``bounds`` says where each process's
    operations begin, ``root`` is the opening value. ``parent`` is an operation's number, ``ROOT``
    for the opening value, ``UNKNOWN`` for one that no operation wrote.
    """

    def __init__(
        self, read: Integers, written: Integers, left: Integers, bounds: list[int], root: int
    ) -> None:
        self.read = read
        self.written = written
        self.parent: Integers = scratch.full(len(read), UNKNOWN)
        self._runs = Runs(left, bounds, self._follows)
        self._search(read, root)

    def _follows(self, operations: Integers, before: Integers) -> Flags:
        """Take those as parents that wrote what the next in time read."""
        follows: Flags = self.read[operations] == self.written[before]
        self.parent[operations[follows]] = before[follows]
        return follows

    def _search(self, read: Integers, root: int) -> None:
        """Find who wrote what the others read."""
        parts = list(scratch.parts(len(read)))
        wanted = scratch.join((read[at][self.parent[at] == UNKNOWN] for at in parts), np.int64)
        if not len(wanted):
            return
        wanted.sort()
        writer: Integers = scratch.full(len(wanted), UNKNOWN)
        # Most were read by the next alone; a look at some bits of each value tells most of those.
        marked = np.zeros(1 << _BITS, np.bool_)
        for at in scratch.parts(len(wanted)):
            marked[_mark(wanted[at])] = True
        for at in parts:
            likely = np.flatnonzero(marked[_mark(self.written[at])])
            written = self.written[at][likely]
            found = scratch.places(wanted, written)
            np.minimum(found, len(wanted) - 1, out=found)
            hits = wanted[found] == written
            writer[found[hits]] = likely[hits] + at.start
        for at in parts:
            lacking = np.flatnonzero(self.parent[at] == UNKNOWN)
            values = read[at][lacking]
            parents = writer[scratch.places(wanted, values)]
            parents[(parents == UNKNOWN) & (values == root)] = ROOT
            self.parent[at][lacking] = parents

    def path(self, root: int, last: int) -> Flags | None:
        """Tell which operations lie between the opening value and the ``last``; None: no way."""
        node = ROOT if last == root else UNKNOWN
        for at in scratch.parts(len(self.written)):
            hits = np.flatnonzero(self.written[at] == last)
            if len(hits):
                node = int(hits[0]) + at.start
                break
        passed = scratch.full(len(self.parent), 0, np.uint8)
        runs = self._runs
        seen, order, rank = passed.data, runs.order.data, runs.rank.data
        parent, start = self.parent.data, runs.start.data
        while node >= 0 and not seen[rank[node]]:
            end = rank[node]
            begin = start[end]
            if begin == end:
                seen[end] = 1
            else:
                passed[begin : end + 1] = 1
            node = parent[order[begin]]
        if node != ROOT:
            return None
        survived: Flags = scratch.empty(len(self.parent), np.bool_)
        for at in scratch.parts(len(self.parent)):
            survived[at] = passed[runs.rank[at]]
        return survived


def _mark(values: Integers) -> Integers:
    marks: Integers = (values.view(np.uint64) * _ODD >> np.uint64(64 - _BITS)).view(np.int64)
    return marks
