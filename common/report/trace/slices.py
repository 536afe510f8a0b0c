"""What did each process do when? Its operations as slices, each with its wait and its hold inside.

Viewers drop slices that overlap their neighbour or have no length, and stamps do coincide: so
each slice gets 1 ns at least, and what follows is moved by as much.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from common import kinds
from common.history import record
from common.history.case import Case
from common.history.operations import Effect, Operation
from common.report.trace.events import Event, complete, plain
from common.report.trace.window import Window

# Records turned into Python objects in one go.
CHUNK = 1 << 14
CELLS = ("item", "kind", "asked", "entered", "left", "v0", "v1", "v2", "v3", "v4")
HOLD, INSIDE, NOTHING = "hold", "inside", ""
JOBS = (Effect.OFFER, Effect.TAKE, Effect.PASS, Effect.DELIVER, Effect.PAGE)


@dataclass
class Slice:
    """A stretch of a track, ns since the gate, with the ``parts`` that lie inside, in order."""

    name: str
    start: int
    end: int
    args: Event = field(default_factory=dict)
    parts: list[Slice] = field(default_factory=list)

    def settle(self, earliest: int) -> int:
        """Move the slice so that it starts no sooner and holds its parts; returns its end."""
        self.start = latest = max(self.start, earliest)
        for part in self.parts:
            latest = part.settle(latest)
        self.end = max(self.end, latest, self.start + 1)
        return self.end

    def events(self, track: int) -> Iterator[Event]:
        """Yield the slice and its parts; what encloses comes before what it encloses."""
        yield complete(track, self.name, self.start, self.end, self.args)
        for part in self.parts:
            yield from part.events(track)


@dataclass
class _Drawn:
    """One record as a slice."""

    position: int
    operation: Operation
    item: int
    slice: Slice


class Tracks:
    """The slices of all processes; ``begins`` and ``ends`` say, once drawn, where each lies.

    They count through the history's positions; an end of 0 says that an operation is not shown
    as a slice of its own. ``lost`` tells of each record whether it is an update that was lost,
    ``since`` from when on what it received, or wrote over, can have been there (0: unknown).
    """

    def __init__(
        self,
        case: Case,
        window: Window,
        lost: npt.NDArray[np.bool_],
        since: npt.NDArray[np.int64],
    ) -> None:
        self.case = case
        self.window = window
        self.begins = np.zeros(len(case.history), np.int64)
        self.ends = np.zeros(len(case.history), np.int64)
        self.shown = 0
        self._lost = lost
        self._since = since
        self._over = max(window.end, case.outcome.ended_ns - case.outcome.gate_ns)
        self._titles: dict[tuple[int, int], tuple[str, str]] = {}

    def draw(self, number: int, track: int) -> Iterator[Event]:
        """Yield the slices of the process at ``number`` in the history."""
        cursor = 0
        for drawn in self._operations(number):
            cursor = drawn.slice.settle(cursor)
            self.begins[drawn.position] = drawn.slice.start
            self.ends[drawn.position] = drawn.slice.end
            yield from drawn.slice.events(track)

    def _operations(self, number: int) -> Iterator[_Drawn]:
        """Yield a process's operations in order, the pages of a print inside it."""
        pages: list[_Drawn] = []
        for drawn in self._recorded(number):
            self.shown += 1
            if drawn.operation.effect is Effect.PAGE:
                pages.append(drawn)
                continue
            # The record of a print follows those of its pages.
            if drawn.operation.effect is Effect.DELIVER and pages and pages[-1].item == drawn.item:
                inner = drawn.slice.parts[-1] if drawn.slice.parts else drawn.slice
                inner.parts += [page.slice for page in pages]
            else:
                yield from pages
            pages.clear()
            yield drawn
        yield from pages

    def _recorded(self, number: int) -> Iterator[_Drawn]:
        history, gate = self.case.history, self.case.outcome.gate_ns
        first, last = history.bounds[number : number + 2]
        for start in range(first, last, CHUNK):
            positions = np.arange(start, min(start + CHUNK, last))
            asked, left = (history.gather(stamp, positions) for stamp in ("asked", "left"))
            # What has no end lasts until the run's.
            shown = (left == 0) | (left >= gate + self.window.start)
            shown &= asked <= gate + self.window.end
            positions = positions[shown]
            columns = [history.gather(name, positions).tolist() for name in CELLS]
            for position, item, *cells in zip(positions.tolist(), *columns, strict=True):
                operation = history.operation(position)
                drawn = self._slice(position, operation, item, *cells)
                yield _Drawn(position, operation, item, drawn)

    def _slice(
        self,
        position: int,
        operation: Operation,
        item: int,
        kind: float,
        asked: int,
        entered: int,
        left: int,
        *values: float,
    ) -> Slice:
        title, section = self._title(position, operation)
        lock = _lock(self.case, int(kind))
        if operation.place == "table":
            section = HOLD if lock else INSIDE
        gate = self.case.outcome.gate_ns
        drawn = Slice(title, (asked or entered or gate) - gate, left - gate)
        refused = bool(self.case.history.refused[position])
        # Of what never ended one value means something, of what was refused two.
        known = 1 if not left else 2 if refused else len(values)
        drawn.args = {
            name: plain(value)
            for name, value in zip(operation.values[:known], values[:known], strict=True)
            if name
        }
        if operation.effect in JOBS:
            drawn.args["job"] = self.case.job(item)
        if self._lost[position]:
            drawn.args["fate"] = "lost"
        if refused:
            drawn.name += " (refused)"
        if not left:
            drawn.name += " (never ended)"
            drawn.end = self._over
            return drawn
        if entered > asked and (section == HOLD or operation.place == "channel"):
            drawn.parts.append(Slice("wait", asked - gate, entered - gate))
        inner = drawn
        if section:
            inner = Slice(section, entered - gate, left - gate, {"lock": lock} if lock else {})
            drawn.parts.append(inner)
        since = int(self._since[position]) - gate
        if inner.start < since < inner.end:
            # Perfetto turns an arrow round that ends in a slice that began before its source.
            if inner is drawn:
                drawn.parts.append(Slice("wait", inner.start, since))
            link = "write" if operation.effect is Effect.UPDATE else "receive"
            inner.parts.append(Slice(link, since, inner.end))
        return drawn

    def _title(self, position: int, operation: Operation) -> tuple[str, str]:
        """Return what an operation is called, and its inside."""
        key = operation.code, int(self.case.history.objects[position])
        if key not in self._titles:
            page = operation.effect is Effect.PAGE
            title = operation.name if page else f"{operation.name} {self.case.place(position)}"
            self._titles[key] = title, _section(self.case, operation, key[1])
        return self._titles[key]


def _section(case: Case, operation: Operation, number: int) -> str:
    """Return what the inside of an operation is called: a hold where something guards it."""
    plan = case.plan
    if operation.effect is Effect.PAGE:
        return NOTHING
    if operation.place == "paper":
        guard = None if number else plan.paper
        return NOTHING if guard is None else INSIDE if guard.lock.kind == "none" else HOLD
    channel = case.channel(number)
    module: Any = None if channel is None else kinds.load(kinds.CHANNELS, channel.part.kind)
    if channel is None or not getattr(module, "GUARDED", True):
        # The kernel synchronises it: nobody is inside.
        return NOTHING
    if hasattr(module, "guarded"):
        return HOLD if module.guarded(module.Options(**channel.part.options)) else INSIDE
    return INSIDE if channel.lock.kind == "none" else HOLD


def _lock(case: Case, kind: int) -> str:
    """Return the lock of the table that was held from the first access to the last, or nothing.

    It is the process's own word: one that takes no lock, or another row's, says so.
    """
    first, last = kind // record.HELD_FIRST % 256, kind // record.HELD_LAST % 256
    if first == record.NO_LOCK or first != last:
        return ""
    return "the table" if first == record.TABLE_LOCK else case.row(first - record.FIRST_ROW_LOCK)
