"""Which operations did all processes of a run record? Maps their files and joins them.

Nothing is copied but what is asked for: a column is gathered from the mapped files, for all
records or for some of them.
"""

from __future__ import annotations

import mmap
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from common.errors import StoredRunError
from common.history import record
from common.history.operations import Effect, Operation

Positions = npt.NDArray[np.int64]

# The cells of a record; docs/history.md gives each its meaning.
_CELLS = {
    "kind": record.KIND, "item": record.ITEM, "asked": record.ASKED, "entered": record.ENTERED,
    "left": record.LEFT, "v0": record.V0, "v1": record.V1, "v2": record.V2, "v3": record.V3,
    "v4": record.V4,
}  # fmt: skip
LAYOUT = np.dtype(
    {
        "names": list(_CELLS),
        "formats": ["f8"] * len(_CELLS),
        "offsets": [8 * cell for cell in _CELLS.values()],
        "itemsize": record.RECORD_SIZE,
    }
)
TIMES = ("asked", "entered", "left")

# Records looked at in one go when counting: the tail of a file is allocated but never touched.
CHUNK = 1 << 16


@dataclass(frozen=True)
class Recorded:
    """The records of one process, in the order in which it made them."""

    pid: int
    index: int
    name: str
    role: str
    records: npt.NDArray[Any]


class History:
    """All records of a run, process after process; a *position* counts through all of them.

    ``processes`` holds one entry for each file that has a header; ``bounds`` where each process's
    records begin, and at the end their number.
    """

    def __init__(self, processes: list[Recorded], operations: Mapping[int, Operation]) -> None:
        self.processes = processes
        self.operations = operations
        self.bounds = [0]
        for process in processes:
            self.bounds.append(self.bounds[-1] + len(process.records))
        # Kept, as they are a byte a record and every property asks for them.
        kinds = self.column("kind").astype(np.int64)
        self.codes: npt.NDArray[np.uint8] = (kinds % record.OBJECT).astype(np.uint8)
        self.objects: npt.NDArray[np.uint8] = (kinds // record.OBJECT % 256).astype(np.uint8)
        self.refused: npt.NDArray[np.bool_] = kinds // record.REFUSED % 2 == 1
        self._present: list[int] = np.flatnonzero(np.bincount(self.codes)).tolist()
        ended = self.column("left") != 0
        self.done: npt.NDArray[np.bool_] = ended & ~self.refused
        self.in_flight: npt.NDArray[np.bool_] = ~(ended | self.refused)

    def __len__(self) -> int:
        return self.bounds[-1]

    def column(self, name: str) -> npt.NDArray[Any]:
        """Return one field of every record.

        ``asked``, ``entered`` and ``left`` in ns, ``item``, ``v0`` to ``v4``; ``seq`` counts the
        records of a process from 1, ``process`` is its place in ``processes``; ``code``,
        ``object``, ``outcome`` (1: refused), ``held_first`` and ``held_last`` (which lock was held
        at the first and at the last access) are parts of ``kind``.
        """
        sizes = [len(process.records) for process in self.processes]
        match name:
            case "process":
                return np.repeat(np.arange(len(sizes), dtype=np.uint16), sizes)
            case "seq":
                return np.concatenate([np.arange(1, size + 1) for size in [*sizes, 0]])
            case "code":
                return self.codes
            case "object":
                return self.objects
            case "outcome":
                return self.refused.astype(np.uint8)
            case "held_first" | "held_last":
                unit = record.HELD_FIRST if name == "held_first" else record.HELD_LAST
                kinds = self.column("kind").astype(np.int64)
                return (kinds // unit % 256).astype(np.uint8)
            case _:
                return self._joined(name, [process.records[name] for process in self.processes])

    def gather(self, name: str, positions: Positions) -> npt.NDArray[Any]:
        """Return one cell (or ``process``) of the records at ``positions``, which ascend."""
        cuts = np.searchsorted(positions, self.bounds)
        if name == "process":
            return np.repeat(np.arange(len(self.processes), dtype=np.uint16), np.diff(cuts))
        parts = [
            process.records[name][positions[cuts[i] : cuts[i + 1]] - self.bounds[i]]
            for i, process in enumerate(self.processes)
            if cuts[i] != cuts[i + 1]
        ]
        return self._joined(name, parts)

    def select(self, *effects: Effect, done: bool = True) -> Positions:
        """Return the positions of operations with one of ``effects``.

        They are those that were done; with ``done=False`` those in flight when their process died.
        """
        codes = [code for code in self._present if self.operations[code].effect in effects]
        if not codes:
            return np.empty(0, np.int64)
        wanted = np.zeros(256, dtype=bool)
        wanted[codes] = True
        chosen = wanted[self.codes]
        chosen &= self.done if done else self.in_flight
        return np.flatnonzero(chosen)

    def process_at(self, position: int) -> Recorded:
        """Return the process that made the record at ``position``."""
        return self.processes[bisect_right(self.bounds, position) - 1]

    def record(self, position: int) -> dict[str, Any]:
        """Return one record, its fields as plain Python values (see :meth:`column`)."""
        which = bisect_right(self.bounds, position) - 1
        at = position - self.bounds[which]
        cells = self.processes[which].records[at]
        found: dict[str, Any] = {name: cells[name].item() for name in _CELLS if name != "kind"}
        found |= {name: round(found[name] * 1e9) for name in TIMES}
        found["item"] = int(found["item"])
        found["object"] = int(self.objects[position])
        found["seq"] = at + 1
        return found

    def operation(self, position: int) -> Operation:
        """Return what kind of operation the record at ``position`` is."""
        return self.operations[int(self.codes[position])]

    def _joined(self, name: str, parts: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
        joined = np.concatenate(parts) if parts else np.empty(0)
        if name in TIMES:
            # Seconds as doubles; nanoseconds are what was measured.
            joined *= 1e9
            return np.rint(joined, out=joined).astype(np.int64)
        return joined.astype(np.uint64) if name == "item" else joined


def load_history(directory: Path, operations: Mapping[int, Operation]) -> History:
    """Map every ``*.rec`` file of ``directory`` and return their history.

    Files of processes that died before their header was whole are left out. Raises
    ``StoredRunError`` for a missing directory, a file that is not a history, and an operation
    code that ``operations`` does not have.
    """
    if not directory.is_dir():
        raise StoredRunError(f"{directory} holds no history: there is no such directory")
    found = [_map(path, operations) for path in sorted(directory.glob("*.rec"))]
    processes = [process for process in found if process is not None]
    return History(sorted(processes, key=lambda process: process.index), operations)


def _map(path: Path, operations: Mapping[int, Operation]) -> Recorded | None:
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            if size < record.HEADER_SIZE:
                return None
            view = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
    except OSError as error:
        raise StoredRunError(f"{path} cannot be read: {error.strerror}") from error
    magic, width, header, pid, index, name, role, _, _ = record.HEADER.unpack_from(view)
    if (magic, width, header) != (record.MAGIC, record.RECORD_SIZE, record.HEADER_SIZE):
        if not any(view[: record.HEADER_SIZE + record.RECORD_SIZE]):
            return None
        raise StoredRunError(
            f"{path} is not a history file of this version",
            f"it begins with {magic!r}, records of {width} bytes; "
            f"expected {record.MAGIC!r}, {record.RECORD_SIZE}",
        )
    slots = (size - record.HEADER_SIZE) // record.RECORD_SIZE
    every = np.frombuffer(view, LAYOUT, count=slots, offset=record.HEADER_SIZE)
    records = every[: _whole(path, every, operations)]
    return Recorded(pid, index, _text(name), _text(role), records)


def _text(field: bytes) -> str:
    # A name is cut at 32 bytes, perhaps inside a character.
    return field.rstrip(b"\0").decode(errors="replace")


def _whole(path: Path, records: npt.NDArray[Any], operations: Mapping[int, Operation]) -> int:
    """Return how many operations were begun: up to the first that did not end, inclusive.

    What stands after that was only declared. Cells are stored whole, so nothing can be torn.
    """
    known = np.zeros(256, dtype=bool)
    known[list(operations)] = True
    for start in range(0, len(records), CHUNK):
        chunk = records[start : start + CHUNK]
        kinds = chunk["kind"]
        open_ended = (chunk["left"] == 0) | (kinds == 0)
        end = int(np.argmax(open_ended)) if open_ended.any() else len(chunk)
        whole = end + (end < len(chunk) and bool(kinds[end] != 0))
        kinds = kinds[:whole]
        good = (kinds >= 1) & (kinds <= record.LARGEST_KIND) & (kinds == np.floor(kinds))
        good[good] = known[kinds[good].astype(np.int64) % record.OBJECT]
        if not good.all():
            bad = int(np.argmin(good))
            raise StoredRunError(
                f"{path}: record {start + bad + 1} is of the unknown kind {kinds[bad]:g}",
                "known operation codes are " + ", ".join(str(code) for code in sorted(operations)),
            )
        if end < len(chunk):
            return start + whole
    return len(records)
