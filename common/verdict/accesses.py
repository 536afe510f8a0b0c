"""What was done to the same cells of the table, and in which order of time.

A row is two places: its stock, which trades write, and its rates, which a rate setter writes. An
audit reads both; a trade reads a rate, and so does a purchase that was refused; a refused sale
read the stock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from common.history import record, scratch
from common.history.merge import History, Positions
from common.history.operations import Effect, Operation
from common.history.order import Order
from common.history.sections import REFUSED, TABLE, Sections
from common.verdict.happens_before import Locks, Times, locks_at

Flags = npt.NDArray[np.bool_]

STOCK, RATES = "stock", "rates"
_WRITES = {STOCK: Effect.UPDATE, RATES: Effect.SET}
_READS = {STOCK: (Effect.SNAPSHOT,), RATES: (Effect.SNAPSHOT, Effect.UPDATE)}
# What is looked at before a trade is refused: the stock by a sale, its rate by a purchase.
_CHECKS = {STOCK: -1, RATES: 1}


class Accesses(NamedTuple):
    """What was done at one place: an array each, process after process.

    ``in_turn`` is their order in time, in windows.
    """

    positions: Positions
    process: npt.NDArray[np.uint16]
    entered: Times
    left: Times
    first: Locks
    last: Locks
    writes: Flags
    in_turn: Iterable[Order]


def orderly(history: History) -> bool:
    """Tell whether each row has one lock, all take it, and no two were inside with it.

    The usual case, and cheap to see: every access to a row is ordered with every other.
    """
    rows = [each for where, each in history.sections.items() if where.kind == TABLE]
    return all(_one_lock(history, here) and not here.overlaps for here in rows)


def _one_lock(history: History, here: Sections) -> bool:
    """Tell whether all have the same lock from their first access to their last one."""
    if not history.locked:
        return False
    one = None
    for which, within in history.pieces(here.positions):
        first, last = locks_at(history, which, within)
        one = int(first[0]) if one is None else one
        if one == record.NO_LOCK or (first != one).any() or (last != one).any():
            return False
    return True


def accesses(history: History) -> dict[tuple[int, str], Accesses]:
    """Return what was done at each place that somebody wrote, by its row and its name."""
    found = {}
    for place in (STOCK, RATES):
        touching, writing = _kinds(history, place)
        for where, every in history.sections.items():
            if where.kind == TABLE and every.counts[writing].any():
                found[where.number, place] = _accesses(history, every.only(touching), writing)
    return dict(sorted(found.items()))


def _accesses(history: History, here: Sections, writing: Flags) -> Accesses:
    process, writes = scratch.Growing(np.uint16), scratch.Growing(np.bool_)
    locks = scratch.Growing(np.uint8), scratch.Growing(np.uint8)
    all_write = not here.counts[~writing].any()
    for which, within in history.pieces(here.positions):
        process.append(np.full(len(within), which, np.uint16))
        if history.locked:
            for growing, held in zip(locks, locks_at(history, which, within), strict=True):
                growing.append(held)
        if not all_write:
            writes.append(writing[here.acts(within + history.bounds[which])])
    nothing = scratch.full(0 if history.locked else len(here), record.NO_LOCK, np.uint8)
    first, last = (growing.array() if history.locked else nothing for growing in locks)
    return Accesses(
        positions=here.positions,
        process=process.array(),
        entered=here.column("entered"),
        left=here.column("left"),
        first=first,
        last=last,
        writes=scratch.full(len(here), 1, np.bool_) if all_write else writes.array(),
        in_turn=here.in_turn,
    )


def neighbours(found: Accesses) -> Iterator[tuple[Positions, Positions]]:
    """Yield the pairs of accesses, in order of time, whose order decides about all others.

    Each access is paired with the write before it, and a read with the write after it: if the first
    of each pair happens before the second, so it is for any two of which one is a write. Pairs are
    places in ``found``, with those of one and the same process left out.
    """
    carried: Positions = np.empty(0, np.int64)
    for window in found.in_turn:
        line = np.concatenate([carried, _in_turn(found, window)])
        writes = found.writes[line]
        if writes.all():
            one, other = line[:-1], line[1:]
            carried = line[-1:]
        else:
            at = np.arange(len(line))
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


def _kinds(history: History, place: str) -> tuple[Flags, Flags]:
    """Return which codes touch a place and which of them write it; the refused ones follow."""
    writing = _codes(history, lambda operation: operation.effect is _WRITES[place])
    reading = _codes(history, lambda operation: operation.effect in _READS[place])
    checking = _codes(history, lambda operation: operation.sign == _CHECKS[place])
    nothing = np.zeros(REFUSED, np.bool_)
    return np.concatenate([writing | reading, checking]), np.concatenate([writing, nothing])


def _codes(history: History, wanted: Callable[[Operation], bool]) -> Flags:
    """Return for each operation code whether ``wanted`` says so of its operation."""
    chosen = np.zeros(REFUSED, np.bool_)
    for code, operation in history.operations.items():
        chosen[code] = wanted(operation)
    return chosen
