"""Which operation wrote the value that each operation read? The tree of a row's values.

All arithmetic is in integers of 2**-30, so that sums are exact. An operation is a number from 0
in its row; its parent is the operation whose written value it read, ``ROOT`` for the opening
stock, ``UNKNOWN`` for a value that no recorded operation wrote.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from common.history.merge import History, Positions
from common.verdict.trail import ROOT, UNKNOWN, find_trail

UNIT = 1 << 30

# Beyond this an integer of 2**-30 no longer fits (and a double no longer holds such a fraction).
LARGEST = float(1 << 32)
NEVER = np.iinfo(np.int64).max

Integers = npt.NDArray[np.int64]


@dataclass
class Lineage:
    """The updates of one row: positions in the history, and what became of each.

    ``lost`` lists the operations off the path to the final stock, None when there is no such
    path; ``missing`` is expected less actual stock in units, None when the values are not exact.
    ``wrong`` and ``strange`` are positions of records that do not add up, and that read a value
    which no recorded operation wrote.
    """

    positions: Positions
    delta: Integers
    left: Integers
    read: Integers
    parent: Integers
    lost: Integers | None = None
    missing: int | None = None
    wrong: Positions = field(default_factory=lambda: np.empty(0, np.int64))
    strange: Positions = field(default_factory=lambda: np.empty(0, np.int64))
    doubts: list[str] = field(default_factory=list)

    def overwritten(self) -> npt.NDArray[np.bool_]:
        """Tell which lost operations were written over by one that had read the same value.

        The others were lost with an operation that had read what they wrote.
        """
        assert self.lost is not None
        survived = np.ones(len(self.parent), dtype=bool)
        survived[self.lost] = False
        order = np.lexsort((self.left, survived, self.read, self.parent))
        same = self.parent[order[1:]] == self.parent[order[:-1]]
        same &= self.read[order[1:]] == self.read[order[:-1]]
        found = np.zeros(len(self.parent), dtype=bool)
        found[order[:-1][same]] = True
        return found[self.lost]

    def overwriter(self, lost: int) -> tuple[int, int | None]:
        """Return what carried a lost operation's amount last, and the write that went over it.

        The carrier is the operation or its nearest ancestor with a later sibling: one that had
        read the same value. The next of them wrote over it; one that survived counts as the last.
        """
        assert self.lost is not None
        survived = np.ones(len(self.parent), dtype=bool)
        survived[self.lost] = False
        node, seen = lost, set[int]()
        while node >= 0 and node not in seen:
            seen.add(node)
            same = (self.parent == self.parent[node]) & (self.read == self.read[node])
            siblings = np.flatnonzero(same).tolist()
            order = {each: (bool(survived[each]), int(self.left[each]), each) for each in siblings}
            later = [each for each in siblings if order[each] > order[node]]
            if later:
                return node, min(later, key=lambda each: order[each])
            node = int(self.parent[node])
        return lost, None


def exact(values: npt.NDArray[Any]) -> Integers | None:
    """Return ``values`` in units of 2**-30; None when one is not an exact multiple of it."""
    if len(values) and not np.abs(values).max() < LARGEST:
        return None
    scaled = values * UNIT
    integers = scaled.astype(np.int64)
    return integers if bool((integers == scaled).all()) else None


def total(values: Integers) -> int:
    """Return the exact sum: in units, four amounts of 3e9 are more than 64 bits hold."""
    return (int((values >> 32).sum()) << 32) + int((values & 0xFFFFFFFF).sum())


def trace(
    history: History, done: Positions, flying: Positions, initial: float, final: float
) -> Lineage:
    """Return the lineage of one row's updates.

    ``done`` are the positions of its finished updates, ``flying`` of those in flight when their
    process died: one of these counts as applied if it alone explains a value that somebody saw.
    """
    signs = np.zeros(256, dtype=np.int64)
    for code, operation in history.operations.items():
        signs[code] = operation.sign
    ends = exact(np.array([initial, final]))
    read = exact(history.gather("v3", done))
    written = exact(history.gather("v4", done))
    delta = exact(history.gather("v0", done))
    nothing = np.empty(0, np.int64)
    empty = Lineage(done, nothing, nothing, nothing, nothing)
    if ends is None or read is None or written is None or delta is None:
        empty.doubts.append(
            "a value is not a multiple of 2**-30 (or not finite): sums are not exact, and nothing "
            "can be said about lost updates"
        )
        return empty
    delta *= signs[history.codes[done]]
    root, last = int(ends[0]), int(ends[1])
    if not len(done) and not len(flying):
        empty.missing = root - last
        if empty.missing:
            empty.doubts.append("the stock changed, and no recorded operation changed it")
        else:
            empty.lost = nothing
        return empty
    wrong = done[(written - read) != delta]
    # Disjoint sections lie in both orders; of those that overlap, either may be the true one.
    if any(
        _in_step(history.gather(stamp, done), read, written, root, last)
        for stamp in ("entered", "left")
    ):
        empty.delta, empty.lost, empty.wrong = delta, nothing, wrong
        empty.missing = root + total(delta) - last
        return empty
    row = _Row(history, done, read, written, delta, root, last)
    row.explain(flying, exact(history.gather("v0", flying)), signs[history.codes[flying]])
    lineage = row.lineage()
    lineage.wrong = wrong
    return lineage


def _in_step(stamps: Integers, read: Integers, written: Integers, root: int, last: int) -> bool:
    """Tell whether each update read what the one stamped before it wrote: then none was lost."""
    if not len(read):
        return False
    order = np.argsort(stamps, kind="stable")
    steps = written[order]
    if int(steps[-1]) != last or int(read[order[0]]) != root:
        return False
    return bool((read[order[1:]] == steps[:-1]).all())


class _Row:
    """The working state of one row: its operations as arrays, in units."""

    def __init__(
        self,
        history: History,
        positions: Positions,
        read: Integers,
        written: Integers,
        delta: Integers,
        root: int,
        last: int,
    ) -> None:
        self.history = history
        self.positions = positions
        self.read = read
        self.written = written
        self.delta = delta
        self.root = root
        self.last = last
        self.applied = 0
        self._sort()

    def _sort(self) -> None:
        self.order = np.argsort(self.written)
        self.values = self.written[self.order]
        count = len(self.values)
        # Where a value was written more than once, only time can tell who wrote what was read.
        self.repeats = bool((self.values[1:] == self.values[:-1]).any()) or self._wrote(self.root)
        at = np.searchsorted(self.values, self.read)
        np.minimum(at, count - 1, out=at)
        known = self.values[at] == self.read if count else np.zeros(0, dtype=bool)
        self.parent = np.where(known, self.order[at], UNKNOWN) if count else at
        self.parent[~known & (self.read == self.root)] = ROOT

    def _wrote(self, value: int) -> bool:
        at = int(np.searchsorted(self.values, value))
        return at < len(self.values) and int(self.values[at]) == value

    def explain(self, flying: Positions, amounts: Integers | None, signs: Integers) -> None:
        """Count operations in flight as applied where a value that was seen proves it."""
        waiting = (
            [] if amounts is None else list(zip(flying, (amounts * signs).tolist(), strict=True))
        )
        progress = True
        while waiting and progress:
            progress = False
            unexplained = set(self.read[self.parent == UNKNOWN].tolist())
            if self.last != self.root and not self._wrote(self.last):
                unexplained.add(self.last)
            for position, delta in waiting:
                value = next(
                    (
                        value
                        for value in sorted(unexplained)
                        if value - delta == self.root or self._wrote(value - delta)
                    ),
                    None,
                )
                if value is not None:
                    self._apply(position, value - delta, value)
                    waiting.remove((position, delta))
                    progress = True
                    break

    def _apply(self, position: int, read: int, written: int) -> None:
        self.applied += 1
        self.positions = np.append(self.positions, position)
        self.read = np.append(self.read, read)
        self.written = np.append(self.written, written)
        self.delta = np.append(self.delta, written - read)
        self._sort()

    def lineage(self) -> Lineage:
        """Return what became of every operation."""
        done = self.positions[: len(self.positions) - self.applied]
        flown = self.positions[len(done) :].tolist()
        left = np.append(self.history.gather("left", done), [NEVER] * self.applied)
        strange = self.positions[self.parent == UNKNOWN]
        possible = True
        if self.repeats:
            entered = np.append(
                self.history.gather("entered", done),
                [self.history.record(position)["entered"] for position in flown],
            ).astype(np.int64)
            survivors, self.parent, possible = find_trail(
                self.read, self.written, entered, left, self.root, self.last
            )
        else:
            survivors = self._path()
        lineage = Lineage(self.positions, self.delta, left, self.read, self.parent)
        lineage.missing = self.root + total(self.delta) - self.last
        lineage.strange = strange
        if survivors is None:
            if not len(strange):
                lineage.doubts.append(
                    "no order of the recorded operations leads from the opening stock to the "
                    "final one: another program writes to this row"
                )
            return lineage
        lineage.lost = np.flatnonzero(~survivors)
        serial = self.repeats and self._serial()
        if not possible or (serial and len(lineage.lost)):
            lineage.doubts.append("equal values: it cannot be told which update survived")
            if serial:
                lineage.lost = lineage.lost[:0]
        if total(self.delta[lineage.lost]) != lineage.missing:
            lineage.doubts.append("the lost amounts do not add up to the missing stock")
        return lineage

    def _serial(self) -> bool:
        """Tell whether the values alone allow an order in which every update survives.

        There each value is read as often as it was written; the last one is read by the launcher.
        """
        taken, given = np.append(self.read, self.last), np.append(self.written, self.root)
        return bool((np.sort(taken) == np.sort(given)).all())

    def _path(self) -> npt.NDArray[np.bool_] | None:
        """Walk from the final stock back to the root; None when the way is broken."""
        survived = bytearray(len(self.parent))
        if self._wrote(self.last):
            node = int(self.order[np.searchsorted(self.values, self.last)])
        else:
            node = ROOT if self.last == self.root else UNKNOWN
        parent = self.parent.data
        while node >= 0 and not survived[node]:
            survived[node] = 1
            node = parent[node]
        return np.frombuffer(survived, dtype=bool) if node == ROOT else None
