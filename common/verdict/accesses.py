"""What was done to the same cells of the table, and in which order of time.

A row is two places: its stock, which trades write, and its rates, which a rate setter writes. An
audit reads both; a trade reads a rate, and so does a purchase that was refused; a refused sale
read the stock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from common.history import record, scratch
from common.history.merge import History, Positions, States
from common.history.operations import Effect, Operation
from common.history.order import windows
from common.history.overlap import overlapping
from common.verdict.happens_before import Times, locks_held

Flags = npt.NDArray[np.bool_]
Locks = npt.NDArray[np.uint8]

STOCK, RATES = "stock", "rates"
_WRITES = {STOCK: Effect.UPDATE, RATES: Effect.SET}
_READS = {STOCK: (Effect.SNAPSHOT,), RATES: (Effect.SNAPSHOT, Effect.UPDATE)}
# What is looked at before a trade is refused: the stock by a sale, its rate by a purchase.
_CHECKS = {STOCK: -1, RATES: 1}

_CODES = 256


class Accesses(NamedTuple):
    """What was done at one place: an array each, process after process (``bounds``)."""

    positions: Positions
    process: npt.NDArray[np.uint16]
    entered: Times
    left: Times
    first: Locks
    last: Locks
    writes: Flags
    bounds: list[int]


def orderly(history: History) -> bool:
    """Tell whether each row has one lock, all take it, and no two were inside with it.

    The usual case, and cheap to see: every access to a row is ordered with every other.
    """
    table = _codes(history, lambda operation: operation.place == "table")
    seen = np.zeros((256, 256), np.bool_)
    if not history.tallies[:, :, table].any():
        return True
    for which, begin, end in history.slices():
        first, last = locks_held(history, which, begin, end)
        chosen = _ended(history, table, which, begin, end)
        if not chosen.all():
            first, last = first[chosen], last[chosen]
        if not np.array_equal(first, last):
            return False
        start = history.bounds[which]
        seen[history.objects[start + begin : start + end][chosen], first] = True
    if seen[:, record.NO_LOCK].any() or (np.count_nonzero(seen, axis=1) > 1).any():
        return False
    return all(_disjoint(history, table, lock) for lock in np.flatnonzero(seen.any(0)).tolist())


def _disjoint(history: History, table: Flags, lock: int) -> bool:
    """Tell whether no two sections under ``lock`` overlap."""
    times = {name: scratch.Growing(np.int64) for name in ("entered", "left")}
    counts = np.zeros(len(history.processes), np.int64)
    for which, begin, end in history.slices():
        first, _ = locks_held(history, which, begin, end)
        mine = _ended(history, table, which, begin, end) & (first == lock)
        count = np.count_nonzero(mine)
        counts[which] += count
        for name, growing in times.items():
            stamps = history.cells(name, which, slice(begin, end))
            growing.append(stamps if count == len(stamps) else stamps[mine])
    bounds = [0, *np.cumsum(counts).tolist()]
    return not overlapping(times["entered"].array(), times["left"].array(), bounds)


def _ended(history: History, wanted: Flags, which: int, begin: int, end: int) -> Flags:
    """Return which records of a slice are of ``wanted`` codes and came to their end."""
    start = history.bounds[which]
    chosen: Flags = wanted[history.codes[start + begin : start + end]]
    chosen &= ~history.in_flight[start + begin : start + end]
    # Who was killed while it recorded a refusal left no end either: only the last can be that.
    if end == len(history.processes[which].records):
        chosen[-1:] &= history.processes[which].records["left"][-1:] != 0
    return chosen


def accesses(history: History) -> dict[tuple[int, str], Accesses]:
    """Return what was done at each place that somebody wrote, by its row and its name."""
    kinds = {place: _kinds(history, place) for place in (STOCK, RATES) if _written(history, place)}
    found: dict[tuple[int, str], _Columns] = {}
    every = np.ones(_CODES, np.bool_)
    for which, begin, end in history.slices():
        here = slice(begin, end)
        start = history.bounds[which]
        there = slice(start + begin, start + end)
        # What was done and what was refused, as one number; 0 for what came to no end.
        acts = (history.codes[there] + history.refused[there] * np.uint16(_CODES)).astype(np.uint16)
        acts *= _ended(history, every, which, begin, end)
        times = [history.cells(name, which, here) for name in ("entered", "left")]
        columns = [*times, *locks_held(history, which, begin, end)]
        for place, (touching, writing) in kinds.items():
            touches = np.flatnonzero(touching[acts])
            rows = history.objects[there][touches]
            # Row after row, and in each row as they were.
            touches = touches[np.argsort(rows, kind="stable")]
            cells = [touches + there.start, *(column[touches] for column in columns)]
            cells.append(writing[acts[touches]])
            counts = np.bincount(rows)
            ends = np.cumsum(counts).tolist()
            for row in np.flatnonzero(counts).tolist():
                growing = found.setdefault((row, place), _Columns(len(history.processes)))
                mine = slice(ends[row] - int(counts[row]), ends[row])
                growing.add(which, [cell[mine] for cell in cells])
    made = {key: growing.accesses() for key, growing in sorted(found.items())}
    return {key: each for key, each in made.items() if each.writes.any()}


class _Columns:
    """Accesses in the making: columns that grow."""

    def __init__(self, processes: int) -> None:
        self._counts = np.zeros(processes, np.int64)
        dtypes = (np.int64, np.int64, np.int64, np.uint8, np.uint8, np.bool_)
        self._columns = [scratch.Growing(dtype) for dtype in dtypes]
        self._process = scratch.Growing(np.uint16)

    def add(self, which: int, cells: list[npt.NDArray[Any]]) -> None:
        """Add some accesses of one process."""
        self._counts[which] += len(cells[0])
        self._process.append(np.full(len(cells[0]), which, np.uint16))
        for column, part in zip(self._columns, cells, strict=True):
            column.append(part)

    def accesses(self) -> Accesses:
        """Return them all."""
        positions, *cells = (column.array() for column in self._columns)
        bounds = [0, *np.cumsum(self._counts).tolist()]
        entered, left, first, last, writes = cells
        process = self._process.array()
        return Accesses(positions, process, entered, left, first, last, writes, bounds)


def neighbours(found: Accesses) -> Iterator[tuple[Positions, Positions]]:
    """Yield the pairs of accesses, in order of time, whose order decides about all others.

    Each access is paired with the write before it, and a read with the write after it: if the first
    of each pair happens before the second, so it is for any two of which one is a write. Pairs are
    places in ``found``, with those of one and the same process left out.
    """
    carried: Positions = np.empty(0, np.int64)
    for window in windows(found.entered, found.bounds):
        line = np.concatenate([carried, _in_turn(found, window)])
        writes, at = found.writes[line], np.arange(len(line))
        if writes.all():
            one, other = line[:-1], line[1:]
            carried = line[-1:]
        else:
            latest = np.maximum.accumulate(np.where(writes, at, -1))
            before = np.concatenate([[-1], latest[:-1]])
            second = np.flatnonzero((at >= len(carried)) & (before >= 0))
            coming = np.minimum.accumulate(np.where(writes, at, len(line))[::-1])[::-1]
            reads = np.flatnonzero(~writes & (coming < len(line)))
            one = line[np.concatenate([before[second], reads])]
            other = line[np.concatenate([second, coming[reads]])]
            carried = _last_of_each(found, line[max(0, int(latest[-1])) :])
        apart = found.process[one] != found.process[other]
        yield one[apart], other[apart]


def _in_turn(found: Accesses, window: Positions) -> Positions:
    """Return a window with what was over at the moment at which another entered before that."""
    stamps = found.entered[window]
    if (stamps[1:] == stamps[:-1]).any():
        return window[np.lexsort((found.left[window], stamps))]
    return window


def _last_of_each(found: Accesses, line: Positions) -> Positions:
    """Return the first of ``line``, and the last access of each process after it."""
    _, lasts = np.unique(found.process[line[:0:-1]], return_index=True)
    return np.concatenate([line[:1], line[np.sort(len(line) - 1 - lasts)]])


def _written(history: History, place: str) -> bool:
    writing = _codes(history, lambda operation: operation.effect is _WRITES[place])
    return bool(history.tallies[:, States.DONE][:, writing].any())


def _kinds(history: History, place: str) -> tuple[Flags, Flags]:
    """Return which codes touch a place and which of them write it; the refused ones follow."""
    writing = _codes(history, lambda operation: operation.effect is _WRITES[place])
    reading = _codes(history, lambda operation: operation.effect in _READS[place])
    checking = _codes(history, lambda operation: operation.sign == _CHECKS[place])
    nothing = np.zeros(_CODES, np.bool_)
    return np.concatenate([writing | reading, checking]), np.concatenate([writing, nothing])


def _codes(history: History, wanted: Callable[[Operation], bool]) -> Flags:
    """Return for each operation code whether ``wanted`` says so of its operation."""
    chosen = np.zeros(_CODES, np.bool_)
    for code, operation in history.operations.items():
        chosen[code] = wanted(operation)
    return chosen
