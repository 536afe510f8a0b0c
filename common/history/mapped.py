"""What did one process record? Its file, mapped: nothing is copied.

The layout is that of :mod:`common.history.record`, seen as an array with named cells.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from common import names
from common.errors import StoredRunError
from common.history import plain, record
from common.history.operations import Operation
from common.history.scratch import CHUNK

# The cells of a record; docs/history.md gives each its meaning.
CELLS = {
    "kind": record.KIND, "item": record.ITEM, "asked": record.ASKED, "entered": record.ENTERED,
    "left": record.LEFT, "v0": record.V0, "v1": record.V1, "v2": record.V2, "v3": record.V3,
    "v4": record.V4,
}  # fmt: skip
LAYOUT = np.dtype(
    {
        "names": list(CELLS),
        "formats": ["f8"] * len(CELLS),
        "offsets": [8 * cell for cell in CELLS.values()],
        "itemsize": record.RECORD_SIZE,
    }
)

# Bytes of a name in a header.
_NAME = 32


@dataclass(frozen=True)
class Recorded:
    """The records of one process, in the order in which it made them.

    ``file`` is what its file is called, without its ending; ``claimed`` is what the header says of
    its name and index where the launcher knows better, else "".
    """

    pid: int
    index: int
    name: str
    role: str
    records: npt.NDArray[Any]
    file: str = ""
    claimed: str = ""


def map_file(path: Path, operations: Mapping[int, Operation]) -> Recorded | None:
    """Map one file; None when its process died before its header was whole.

    Raises ``StoredRunError`` for a file that is not a history or has an unknown operation code.
    """
    try:
        with plain.opened(path) as file:
            size = os.fstat(file.fileno()).st_size
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
    return Recorded(pid, index, _text(name), _text(role), records, path.stem)


def named(recorded: Recorded, known: Mapping[str, int]) -> Recorded:
    """Return the records as those of the process that the file is called after.

    ``known`` are the processes of the run, with their indices. A header is written by its process,
    and may say anything; the file's name and the index were given to it.
    """
    name = recorded.file
    if name not in known:
        return recorded
    right = (recorded.index, recorded.name) == (known[name], _text(name.encode()[:_NAME]))
    claimed = "" if right else f"process {recorded.index}, {names.printable(recorded.name)}"
    return replace(recorded, index=known[name], name=name, claimed=claimed)


def _text(field: bytes) -> str:
    # A name is cut at 32 bytes, perhaps inside a character.
    return field.rstrip(b"\0").decode(errors="replace")


def _whole(path: Path, records: npt.NDArray[Any], operations: Mapping[int, Operation]) -> int:
    """Return how many operations were begun: up to the first that did not end, inclusive.

    What stands after that was only declared, but for the second half of that operation. Cells are
    stored whole, so nothing can be torn.
    """
    known = np.zeros(256, dtype=bool)
    known[list(operations)] = True
    for start in range(0, len(records), CHUNK):
        chunk = records[start : start + CHUNK]
        kinds = chunk["kind"].copy()
        open_ended = (chunk["left"] == 0) | (kinds == 0)
        end = int(np.argmax(open_ended)) if open_ended.any() else len(chunk)
        whole = end + (end < len(chunk) and bool(kinds[end] != 0))
        kinds = kinds[:whole]
        good = (kinds >= 1) & (kinds <= record.LARGEST_KIND) & (kinds == np.floor(kinds))
        good &= known[np.where(good, kinds, 0).astype(np.int64) % record.OBJECT]
        if not good.all():
            bad = int(np.argmin(good))
            raise StoredRunError(
                f"{path}: record {start + bad + 1} is of the unknown kind {kinds[bad]:g}",
                "known operation codes are " + ", ".join(str(code) for code in sorted(operations)),
            )
        if end < len(chunk):
            return start + whole + (whole > end and _halved(records, start + whole, known))
    return len(records)


def _halved(records: npt.NDArray[Any], at: int, known: npt.NDArray[np.bool_]) -> bool:
    """Tell whether what is in flight is one half of an operation: the other was begun with it."""
    kind = float(records["kind"][at]) if at < len(records) else 0.0
    whole = record.SECOND_HALF <= kind <= record.LARGEST_KIND and kind.is_integer()
    return whole and bool(known[int(kind) % record.OBJECT])
