"""Writes the records of one process into a mapped file; what is written survives kill -9.

The operations of a process follow one another and never nest, so the first record without an end
is the one that was in flight when its process died, and nothing after it happened.
"""

from __future__ import annotations

import mmap
import os
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from common.history import record

# Pages are touched before the start gate opens, up to this many bytes: a first touch costs as
# much as the operation that it would delay.
POPULATE_LIMIT = 64 << 20


class Declared(NamedTuple):
    """Records that say what will be done: the ``start`` byte of the first one in ``view``."""

    view: memoryview
    start: int


class Recorder:
    """The history file of one process.

    One operation at a time: ``begin`` before its first access, ``end`` after its last. Or many
    declared at once, each completed where it is done (see :meth:`declare`). Times are ns of
    CLOCK_MONOTONIC. Raises ``OSError`` (ENOSPC) when the disk cannot take another window.
    """

    def __init__(self, path: Path, name: str, role: str, index: int, capacity: int) -> None:
        self._path = path
        self._next = 0
        self.room = 0
        windows = max(1, -(-capacity // record.WINDOW_RECORDS))
        self._size = 0
        self._header = self._map(
            record.HEADER_SIZE + windows * record.WINDOW_SIZE, os.O_CREAT | os.O_EXCL
        )
        record.HEADER.pack_into(
            self._header, 0, record.MAGIC, record.RECORD_SIZE, record.HEADER_SIZE, os.getpid(),
            index, name.encode()[:32], role.encode()[:32], 0, b"",
        )  # fmt: skip
        self._views = [(self._header, record.HEADER_SIZE)]
        self._use(*self._views[0])

    def begin(
        self, code: int, place: int, item: int, asked: int, entered: int, value: float
    ) -> int:
        """Write the first part of a record, with v0; returns the cell at which it starts."""
        if not self.room:
            self._grow()
        cell = self._next >> 3
        self._next += record.RECORD_SIZE
        self.room -= 1
        cells = self._cells
        cells[cell + record.ITEM] = item
        cells[cell + record.V0] = value
        cells[cell + record.ASKED] = asked / 1e9
        cells[cell + record.ENTERED] = entered / 1e9
        cells[cell] = code + place * record.OBJECT
        return cell

    def enter(self, cell: int, entered: int) -> None:
        """Say of the record at ``cell``, begun ahead of its time, when it was entered."""
        self._cells[cell + record.ENTERED] = entered / 1e9

    def end(self, cell: int, v1: float, v2: float, v3: float, v4: float, left: int) -> None:
        """Complete the record at ``cell``."""
        cells = self._cells
        cells[cell + record.V1] = v1
        cells[cell + record.V2] = v2
        cells[cell + record.V3] = v3
        cells[cell + record.V4] = v4
        cells[cell + record.LEFT] = left / 1e9

    def refuse(self, cell: int) -> None:
        """Mark the record at ``cell`` as turned down by its own check; before ``end``."""
        self._cells[cell] += record.REFUSED

    def reserve(self) -> int:
        """Return how many records can be declared at once now, at least one."""
        if not self.room:
            self._grow()
        return self.room

    def declare(
        self, kinds: Sequence[float], items: Sequence[float], values: Sequence[float]
    ) -> Declared:
        """Write kind, item and v0 of many records at once, no more than ``reserve`` allows.

        Who does them completes each with ``record.END`` at ``END_OFFSET`` from its start, in
        order, before anything else is recorded.
        """
        start, count = self._next, len(kinds)
        first, last = start >> 3, (start >> 3) + 10 * count
        for cell, column in ((record.ITEM, items), (record.V0, values), (record.KIND, kinds)):
            self._cells[first + cell : last + cell : 10] = memoryview(array("d", column))
        self._next += count * record.RECORD_SIZE
        self.room -= count
        return Declared(self._view, start)

    def withdraw(self, start: int) -> None:
        """Take back what was declared from byte ``start`` on and never begun."""
        size = self._next - start
        self._view[start : self._next] = bytes(size)
        self._next = start
        self.room += size // record.RECORD_SIZE

    def withdraw_last(self) -> None:
        """Take back the last record, which was declared and never begun."""
        self.withdraw(self._next - record.RECORD_SIZE)

    def rewind(self) -> None:
        """Forget every record: the process does it all again."""
        for view, start in self._views:
            used = self._next if view is self._view else len(view)
            view[start:used] = bytes(max(0, used - start))
            if view is self._view:
                break
        self._use(*self._views[0])

    def publish(self, since: int, what: str) -> None:
        """Write what this process waits for ("" for nothing) where the launcher can read it."""
        text = what.encode()[: record.STATUS_SIZE - 1]
        record.STATUS.pack_into(self._header, record.STATUS_OFFSET, since, text)

    def _grow(self) -> None:
        at = next(n for n, (view, _) in enumerate(self._views) if view is self._view) + 1
        if at < len(self._views):
            self._use(*self._views[at])
            return
        # Growing is rare: as much again as there is, up to a limit, keeps it rarer still.
        windows = min(self._size // record.WINDOW_SIZE + 1, 64)
        self._views.append((self._map(windows * record.WINDOW_SIZE), 0))
        self._use(*self._views[-1])

    def _use(self, view: memoryview, start: int) -> None:
        self._view = view
        self._cells = view.cast("d")
        self._next = start
        self.room = (len(view) - start) // record.RECORD_SIZE

    def _map(self, size: int, how: int = 0) -> memoryview:
        file = os.open(self._path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | how, 0o600)
        try:
            # Allocated, not only sized: a full disk must be an error here, not a SIGBUS at a store.
            os.posix_fallocate(file, self._size, size)
            flags = mmap.MAP_SHARED | (mmap.MAP_POPULATE if size <= POPULATE_LIMIT else 0)
            window = mmap.mmap(file, size, flags=flags, offset=self._size)
        finally:
            os.close(file)
        self._size += size
        return memoryview(window)
