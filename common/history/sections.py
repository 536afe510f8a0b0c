"""What was done where, and when? The operations of each place of a run, found once and kept.

Most properties ask for the same: the operations on one row, channel or paper, process after
process or in the order of time. Who asks first has it found; nobody may change it.
"""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from common.history import scratch
from common.history.operations import Effect
from common.history.order import Kept, Order, windows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from common.history.merge import History

Integers = npt.NDArray[np.int64]
Column = npt.NDArray[Any]
Acts = npt.NDArray[np.bool_]

TABLE, CHANNEL, PAPER, SPOOL = "table", "channel", "paper", "spool"
_PLACES = (TABLE, CHANNEL, PAPER, SPOOL)

# An act is an operation's code, and this more where it was refused.
REFUSED = 256
ACTS = 2 * REFUSED


class Where(NamedTuple):
    """A place: its kind, and which of them (a row, or a channel's index)."""

    kind: str
    number: int


class Sections:
    """Operations of one history by their ``positions``, which ascend.

    ``bounds`` says where each process's begin, and at the end their number. ``known`` are columns
    that were read before.
    """

    def __init__(
        self, history: History, positions: Integers, known: dict[str, Column] | None = None
    ) -> None:
        self.history = history
        self.positions = positions
        self.bounds: list[int] = np.searchsorted(positions, history.bounds).tolist()
        self._columns = known or {}

    def __len__(self) -> int:
        return len(self.positions)

    def column(self, name: str) -> Column:
        """Return one field of them all (see :meth:`History.column`)."""
        if name not in self._columns:
            self._columns[name] = self.history.gather(name, self.positions)
        return self._columns[name]

    @cached_property
    def counts(self) -> Integers:
        """How many there are of each act."""
        counts = np.zeros(ACTS, np.int64)
        for at in scratch.parts(len(self)):
            counts += np.bincount(self.acts(self.positions[at]), minlength=ACTS)
        return counts

    @cached_property
    def in_turn(self) -> Iterable[Order]:
        """Their places here in the order in which they went in, in windows."""
        return Kept(windows(self.column("entered"), self.bounds))

    @cached_property
    def overlaps(self) -> int:
        """How many went in while another process was inside."""
        return inside(self.column("entered"), self.column("left"), self.in_turn)

    @cached_property
    def contended(self) -> int:
        """How many asked while another process was inside, or waited for it."""
        asked = self.column("asked")
        return inside(asked, self.column("left"), windows(asked, self.bounds))

    def only(self, acts: Acts) -> Sections:
        """Return those of some ``acts``."""
        if not self.counts[~acts].any():
            return self
        chosen = scratch.Growing(np.int64)
        for at in scratch.parts(len(self)):
            positions = self.positions[at]
            chosen.append(positions[acts[self.acts(positions)]])
        return Sections(self.history, chosen.array())

    def acts(self, positions: Integers) -> npt.NDArray[np.uint16]:
        """Return what was done by the records at ``positions``."""
        refused = self.history.refused[positions] * np.uint16(REFUSED)
        return self.history.codes[positions] + refused


def inside(begins: npt.NDArray[np.int64], ends: Integers, parts: Iterable[Order]) -> int:
    """Return how many intervals begin strictly inside an earlier one of another process.

    The intervals of one process do not overlap each other, so a later end among those that began
    earlier is always another process's. ``parts`` is their order by ``begins``.
    """
    count = 0
    # The latest end so far; nothing has ended before the first has begun.
    latest = np.iinfo(np.int64).min
    for order in parts:
        first, last = begins[order], ends[order]
        before = np.maximum.accumulate(np.concatenate([[latest], last]))
        latest = before[-1]
        # An interval without length at the edge of another proves nothing.
        count += int(np.count_nonzero((first < before[:-1]) & (last > first)))
    return count


def find(history: History) -> dict[Where, Sections]:
    """Return all operations that came to an end, done or refused, by their place.

    A page is none of them: it is a part of a job, whose section frames all its pages.
    """
    number = np.zeros(REFUSED, np.uint16)
    pages = np.zeros(REFUSED, np.bool_)
    for code, operation in history.operations.items():
        number[code] = _PLACES.index(operation.place) << 8
        pages[code] = operation.effect is Effect.PAGE
    names = _names(history)
    found: dict[int, _Growing] = {}
    for which, begin, end in history.slices():
        start = history.bounds[which]
        here = slice(start + begin, start + end)
        codes = history.codes[here]
        keys = number[codes] | history.objects[here]
        columns = {name: history.cells(name, which, slice(begin, end)) for name in names}
        # Place after place, and at each place as they were.
        at = np.argsort(keys, kind="stable")
        left_out = pages[codes]
        # Only what was the last of all has no end, or its two halves.
        left_out[-2:] |= columns["left"][-2:] == 0
        if left_out.any():
            at = at[~left_out[at]]
        keys = keys[at]
        cells = {name: column[at] for name, column in columns.items()}
        acts = codes[at] + history.refused[here][at] * np.uint16(REFUSED)
        at += here.start
        cuts = np.flatnonzero(keys[1:] != keys[:-1]) + 1
        for first, last in pairwise([0, *cuts.tolist(), len(keys)]):
            if first < last:
                growing = found.setdefault(int(keys[first]), _Growing())
                part = slice(first, last)
                growing.add(at[part], acts[part], {name: cells[name][part] for name in cells})
    return {
        Where(_PLACES[key >> 8], key & 255): growing.sections(history)
        for key, growing in sorted(found.items())
    }


def of(history: History, effect: Effect) -> dict[int, Sections]:
    """Return the operations with ``effect`` that were done, by the object that they are about."""
    acts = np.zeros(ACTS, np.bool_)
    acts[[code for code, each in history.operations.items() if each.effect is effect]] = True
    found = ((where, each.only(acts)) for where, each in history.sections.items())
    return {where.number: each for where, each in found if len(each)}


def _names(history: History) -> list[str]:
    """Return which cells are read while the records are at hand; more are gathered if wanted."""
    stamps = ["asked", "entered", "left"]
    updates = [code for code, each in history.operations.items() if each.effect is Effect.UPDATE]
    return stamps + ["v0", "v3", "v4"] * bool(history.tallies[:, :, updates].any())


class _Growing:
    """The operations of one place in the making."""

    def __init__(self) -> None:
        self._positions = scratch.Growing(np.int64)
        self._columns: dict[str, scratch.Growing] = {}
        self._counts = np.zeros(ACTS, np.int64)

    def add(self, positions: Integers, acts: Column, cells: dict[str, Column]) -> None:
        """Add some of one process."""
        self._counts += np.bincount(acts, minlength=ACTS)
        self._positions.append(positions)
        for name, part in cells.items():
            self._columns.setdefault(name, scratch.Growing(part.dtype)).append(part)

    def sections(self, history: History) -> Sections:
        """Return them all."""
        known = {name: growing.array() for name, growing in self._columns.items()}
        sections = Sections(history, self._positions.array(), known)
        sections.counts = self._counts
        return sections
