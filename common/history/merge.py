"""Which operations did all processes of a run record? Maps their files and joins them.

Nothing is copied but what is asked for: a column is gathered from the mapped files, for all
records or for some of them. Memory does not grow with the history: work goes in chunks, and what
holds a value for each record lies in files (:mod:`common.history.scratch`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from common.errors import StoredRunError
from common.history import record, scratch, sections
from common.history.mapped import CELLS, Recorded, map_file, named
from common.history.operations import Effect, Operation
from common.history.scratch import CHUNK
from common.history.sections import Sections, Where

Positions = npt.NDArray[np.int64]

TIMES = ("asked", "entered", "left")
_HELD = {"held_first": record.HELD_FIRST, "held_last": record.HELD_LAST}
_DTYPES = {
    **dict.fromkeys(TIMES, np.int64),
    **dict.fromkeys(_HELD, np.uint8),
    "item": np.uint64,
    "process": np.uint16,
}


class States(IntEnum):
    """What became of an operation."""

    DONE = 0
    REFUSED = 1
    IN_FLIGHT = 2


class History:
    """All records of a run, process after process; a *position* counts through all of them.

    ``processes`` holds one entry for each file that has a header; ``bounds`` where each process's
    records begin, and at the end their number. ``codes``, ``objects``, ``refused``, ``done`` and
    ``in_flight`` hold one value a record; ``tallies`` how many records of each code each process
    did, had refused, and has in flight (a row of 256 for each). ``locked`` tells whether any of
    them held a lock of the table.
    """

    def __init__(self, processes: list[Recorded], operations: Mapping[int, Operation]) -> None:
        self.processes = processes
        self.operations = operations
        self.bounds = [0]
        for process in processes:
            self.bounds.append(self.bounds[-1] + len(process.records))
        # Kept, as they are a byte a record and every property asks for them.
        count = self.bounds[-1]
        self.codes: npt.NDArray[np.uint8] = scratch.empty(count, np.uint8)
        self.objects: npt.NDArray[np.uint8] = scratch.empty(count, np.uint8)
        self.refused: npt.NDArray[np.bool_] = scratch.empty(count, np.bool_)
        self.done: npt.NDArray[np.bool_] = scratch.empty(count, np.bool_)
        self.in_flight: npt.NDArray[np.bool_] = scratch.empty(count, np.bool_)
        self.tallies = np.zeros((len(processes), len(States), 256), np.int64)
        self.locked = False
        for which, begin, end in self.slices():
            self._classify(which, begin, end)
        self._present: list[int] = np.flatnonzero(self.tallies.sum((0, 1))).tolist()

    def _classify(self, which: int, begin: int, end: int) -> None:
        records = self.processes[which].records[begin:end]
        here = slice(self.bounds[which] + begin, self.bounds[which] + end)
        kinds = records["kind"].astype(np.int64)
        self.locked |= bool(kinds.max() >= record.HELD_FIRST)
        # The parts of a kind are bytes of it, and this cuts all but the lowest one off.
        self.codes[here] = kinds.astype(np.uint8)
        self.objects[here] = (kinds >> 8).astype(np.uint8)
        self.refused[here] = refused = kinds & record.REFUSED != 0
        ended = records["left"] != 0
        self.done[here] = ended & ~refused
        self.in_flight[here] = flying = ~(ended | refused)
        states = flying * (256 * States.IN_FLIGHT) + refused * (256 * States.REFUSED)
        states += self.codes[here]
        counts = np.bincount(states, minlength=256 * len(States))
        self.tallies[which] += counts.reshape(len(States), 256)

    def __len__(self) -> int:
        return self.bounds[-1]

    @cached_property
    def sections(self) -> dict[Where, Sections]:
        """The operations that came to an end, by their place."""
        return sections.find(self)

    def column(self, name: str) -> npt.NDArray[Any]:
        """Return one field of every record.

        ``asked``, ``entered`` and ``left`` in ns, ``item``, ``v0`` to ``v4``; ``seq`` counts the
        records of a process from 1, ``process`` is its place in ``processes``; ``code``,
        ``object``, ``outcome`` (1: refused), ``held_first`` and ``held_last`` (which lock was held
        at the first and at the last access) are parts of ``kind``.
        """
        match name:
            case "code":
                return self.codes
            case "object":
                return self.objects
            case "outcome":
                return self.refused.view(np.uint8)
            case "seq":
                parts = (np.arange(begin + 1, end + 1) for _, begin, end in self.slices())
                return scratch.join(parts, np.int64)
            case _:
                pieces = ((which, slice(begin, end)) for which, begin, end in self.slices())
                return self._joined(name, pieces)

    def gather(self, name: str, positions: Positions) -> npt.NDArray[Any]:
        """Return one cell (or ``process``) of the records at ``positions``, which ascend."""
        return self._joined(name, self.pieces(positions))

    def select(self, *effects: Effect, done: bool = True) -> Positions:
        """Return the positions of operations with one of ``effects``.

        They are those that were done; with ``done=False`` those in flight when their process died.
        """
        return scratch.join((part for _, part in self.chunks(*effects, done=done)), np.int64)

    def chunks(self, *effects: Effect, done: bool = True) -> Iterator[tuple[int, Positions]]:
        """Yield the same in parts of bounded length, with the place of their process."""
        codes = [code for code in self._present if self.operations[code].effect in effects]
        if not codes:
            return
        wanted = np.zeros(256, dtype=bool)
        wanted[codes] = True
        state = States.DONE if done else States.IN_FLIGHT
        mask = self.done if done else self.in_flight
        for which, begin, end in self.slices():
            # Few have anything in flight, and most do one thing.
            if self.tallies[which, state, codes].any():
                start, stop = self.bounds[which] + begin, self.bounds[which] + end
                chosen = wanted[self.codes[start:stop]]
                chosen &= mask[start:stop]
                positions = np.flatnonzero(chosen)
                positions += start
                yield which, positions

    def by_object(self, *effects: Effect, done: bool = True) -> dict[int, Positions]:
        """Return what :meth:`select` returns, for each object that these operations are about."""
        found: dict[int, scratch.Growing] = {}
        for _, positions in self.chunks(*effects, done=done):
            objects = self.objects[positions]
            for number in np.flatnonzero(np.bincount(objects)).tolist():
                mine = found.setdefault(number, scratch.Growing(np.int64))
                mine.append(positions[objects == number])
        return {number: mine.array() for number, mine in sorted(found.items())}

    def process_at(self, position: int) -> Recorded:
        """Return the process that made the record at ``position``."""
        return self.processes[bisect_right(self.bounds, position) - 1]

    def record(self, position: int) -> dict[str, Any]:
        """Return one record, its fields as plain Python values (see :meth:`column`)."""
        which = bisect_right(self.bounds, position) - 1
        at = position - self.bounds[which]
        cells = self.processes[which].records[at]
        found: dict[str, Any] = {name: cells[name].item() for name in CELLS if name != "kind"}
        found |= {name: round(found[name] * 1e9) for name in TIMES}
        found["item"] = int(found["item"])
        found["object"] = int(self.objects[position])
        found["seq"] = at + 1
        return found

    def operation(self, position: int) -> Operation:
        """Return what kind of operation the record at ``position`` is."""
        return self.operations[int(self.codes[position])]

    def slices(self) -> Iterator[tuple[int, int, int]]:
        """Yield all records in parts: the place of their process, from where to where in it."""
        for which, process in enumerate(self.processes):
            for begin in range(0, len(process.records), CHUNK):
                yield which, begin, min(begin + CHUNK, len(process.records))

    def pieces(self, positions: Positions) -> Iterator[tuple[int, Positions]]:
        """Yield ``positions``, which ascend, in parts: their process, and where they are in it."""
        cuts = np.searchsorted(positions, self.bounds).tolist()
        for which, bound in enumerate(self.bounds[:-1]):
            for begin in range(cuts[which], cuts[which + 1], CHUNK):
                end = min(begin + CHUNK, cuts[which + 1])
                yield which, positions[begin:end] - bound

    def _joined(
        self, name: str, pieces: Iterable[tuple[int, slice | Positions]]
    ) -> npt.NDArray[Any]:
        """Return a field of some records: those at ``pieces``, each of one process."""
        dtype = _DTYPES.get(name, np.float64)
        return scratch.join((self.cells(name, which, at) for which, at in pieces), dtype)

    def cells(self, name: str, which: int, at: slice | Positions) -> npt.NDArray[Any]:
        """Return one cell of some records of one process, by its place; ``at`` counts from 0."""
        records = self.processes[which].records
        if not isinstance(at, slice) and len(at) and at[-1] - at[0] == len(at) - 1:
            # All from one to another: much faster than one by one.
            at = slice(at[0], at[-1] + 1)
        if name in TIMES:
            # Seconds as doubles; nanoseconds are what was measured.
            times = records[name][at] * 1e9
            return np.rint(times, out=times).astype(np.int64)
        if name == "process":
            return np.full(len(records["kind"][at]), which, np.uint16)
        if name in _HELD:
            return records["kind"][at].astype(np.int64) // _HELD[name] % 256
        cells: npt.NDArray[Any] = records[name][at]
        return cells


def load_history(
    directory: Path, operations: Mapping[int, Operation], known: Mapping[str, int] | None = None
) -> History:
    """Map every ``*.rec`` file of ``directory`` and return their history.

    ``known`` are the processes of the run with their indices: they, and not what a header says,
    tell whose a file is. Files of processes that died before their header was whole are left out.
    Raises ``StoredRunError`` for a missing directory, a file that is not a history, and an
    operation code that ``operations`` does not have.
    """
    if not directory.is_dir():
        raise StoredRunError(f"{directory} holds no history: there is no such directory")
    found = [map_file(path, operations) for path in sorted(directory.glob("*.rec"))]
    processes = [named(process, known or {}) for process in found if process is not None]
    return History(sorted(processes, key=lambda process: process.index), operations)
