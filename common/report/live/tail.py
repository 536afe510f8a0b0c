"""What has one process recorded since the last look? Each record is read once, none is waited for.

The file is mapped read-only. ``left`` is stored last (docs/history.md): a record that has one is
whole, and those that have one come first.
"""

from __future__ import annotations

import bisect
import mmap
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from common.history import record
from common.history.mapped import LAYOUT

Records = npt.NDArray[Any]
NOTHING: Records = np.empty(0, LAYOUT)


class Tail:
    """The history file of one process while it is written.

    ``done`` counts the operations it has finished, ``skipped`` those that ``take`` left out.
    """

    def __init__(self, path: Path) -> None:
        self.done = 0
        self.skipped = 0
        self._path = path
        self._read = 0
        self._view: mmap.mmap | None = None
        self._records = NOTHING

    def take(self, most: int) -> Records:
        """Return what was finished since the last call, the last ``most`` records at most.

        They are views of the file: whoever keeps them copies. None while there is no file yet.
        """
        self._map()
        records = self._records
        left = records["left"]
        every = range(len(left))
        self.done = bisect.bisect_left(every, True, lo=self.done, key=lambda at: left[at] == 0)
        start = max(self._read, self.done - most)
        self.skipped += start - self._read
        # The pages of a print are finished before it is: they wait for it.
        unfinished = left[start : self.done] == 0
        self._read = start + int(np.argmax(unfinished)) if unfinished.any() else self.done
        return records[start : self._read]

    def begun(self) -> tuple[int, float]:
        """Return kind and first value of the operation in hand, or declared next; 0: of none."""
        return self._at(self._read)

    def last(self) -> tuple[int, float]:
        """Return kind and first value of the last finished operation; 0: there is none."""
        return self._at(self._read - 1)

    def waiting(self) -> tuple[int, str]:
        """Return since when (ns, CLOCK_MONOTONIC) the process waits, and for what; 0: it does not.

        The text is what the process wrote: it may hold anything.
        """
        if self._view is None:
            return 0, ""
        since, text = record.STATUS.unpack_from(self._view, record.STATUS_OFFSET)
        return since, text.partition(b"\0")[0].decode(errors="replace")

    def _at(self, place: int) -> tuple[int, float]:
        if not 0 <= place < len(self._records):
            return 0, 0.0
        found = self._records[place]
        kind, value = float(found["kind"]), float(found["v0"])
        return (int(kind), value) if 0 < kind <= record.LARGEST_KIND else (0, 0.0)

    def _map(self) -> None:
        """Map the file, or what it has become: it grows by whole windows and never shrinks."""
        try:
            size = self._path.stat().st_size
            known = 0 if self._view is None else len(self._view)
            if size <= known or size < record.HEADER_SIZE:
                return
            with self._path.open("rb") as file:
                view = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
        except OSError:
            # Not there yet, or not ours to read: nothing is known of it, which is not an error.
            return
        if view[: len(record.MAGIC)] != record.MAGIC:
            return
        count = (size - record.HEADER_SIZE) // record.RECORD_SIZE
        self._view = view
        self._records = np.frombuffer(view, LAYOUT, count, record.HEADER_SIZE)
