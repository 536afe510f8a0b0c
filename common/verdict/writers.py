"""Who wrote each value of a row, and when? All writers of one value, by time.

In one long array writers of the same value are neighbours, in the order in which they entered; a
*part* of it, from where to where, holds those of one value.
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np

from common.history import scratch
from common.history.order import windows
from common.verdict.runs import Flags, Integers
from common.verdict.tree import UNKNOWN


class Writers:
    """The writers of a row's values, and which of them can have written what was ``read``.

    ``bounds`` says where each process's operations begin.
    """

    def __init__(
        self,
        written: Integers,
        entered: Integers,
        left: Integers,
        bounds: list[int],
        read: Integers,
    ) -> None:
        count = len(written)
        self._values: Integers = scratch.join((written,), np.int64)
        self._values.sort()
        self._names: Integers = scratch.empty(count, np.int64)
        self._times: Integers = scratch.empty(count, np.int64)
        # How many wrote a value, at the first of its places; one place more, for none.
        sizes: Integers = scratch.full(count + 1, 0)
        for window in windows(entered, bounds):
            self._add(window[np.lexsort((left[window], entered[window]))], written, entered, sizes)
        self._begins: Integers = scratch.empty(count, np.int64)
        self._ends: Integers = scratch.empty(count, np.int64)
        for at in scratch.parts(count):
            begins = scratch.places(self._values, read[at])
            known = self._values[np.minimum(begins, count - 1)] == read[at]
            self._begins[at] = begins
            self._ends[at] = begins + np.where(known, sizes[begins], 0)
        # free[n]: how many of the first n are before the last one still to be taken.
        self._free: Integers = scratch.join(
            (np.arange(at.start, at.stop) for at in scratch.parts(count + 1)), np.int64
        )

    def _add(self, order: Integers, written: Integers, entered: Integers, sizes: Integers) -> None:
        """Put the next operations in the order of time behind those that are there."""
        first = scratch.places(self._values, written[order])
        by_value = np.argsort(first, kind="stable")
        order, first = order[by_value], first[by_value]
        heads = np.flatnonzero(np.diff(first, prepend=-1))
        news = np.diff(heads, append=len(first))
        places = first + sizes[first] + np.arange(len(first)) - np.repeat(heads, news)
        self._names[places] = order
        self._times[places] = entered[order]
        sizes[first[heads]] += news

    def of(self, operation: int) -> tuple[int, int]:
        """Return the part of those who wrote what an operation read."""
        return int(self._begins[operation]), int(self._ends[operation])

    def of_value(self, value: int) -> tuple[int, int]:
        """Return the part of those who wrote a value."""
        begin = int(np.searchsorted(self._values, value))
        return begin, int(np.searchsorted(self._values, value, "right"))

    def take(self, begin: int, end: int, until: int) -> int | None:
        """Take the latest of a part who entered by ``until`` and whom nobody took before."""
        free = self._free.data
        n = bisect_right(self._times.data, until, begin, end)
        path = []
        while free[n] != n:
            path.append(n)
            n = free[n]
        for passed in path:
            free[passed] = n
        if n <= begin:
            return None
        free[n] = n - 1
        return int(self._names[n - 1])

    def alone(self, operations: Integers, writers: Integers, until: Integers) -> Flags:
        """Tell where nobody but the given writer wrote what an operation read, and by ``until``."""
        begins = self._begins[operations]
        found: Flags = self._ends[operations] - begins == 1
        begins[~found] = 0
        found &= self._names[begins] == writers
        found &= self._times[begins] <= until
        return found

    def latest(self, operations: Integers, until: Integers) -> Integers:
        """Return the latest who wrote what each operation read and entered by ``until``."""
        begins, ends = self._begins[operations], self._ends[operations]
        found = np.full(len(operations), UNKNOWN)
        single = np.flatnonzero(ends - begins == 1)
        single = single[self._times[begins[single]] <= until[single]]
        found[single] = self._names[begins[single]]
        for each in np.flatnonzero(ends - begins > 1).tolist():
            n = bisect_right(self._times.data, int(until[each]), begins[each], ends[each])
            if n > begins[each]:
                found[each] = self._names[n - 1]
        return found
