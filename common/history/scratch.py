"""Where do arrays go that grow with the history? Into files without a name, not into memory.

What is small stays in memory. The rest lies in mapped files that vanish with their arrays: the
kernel may write them out when memory is short, so judging a long run needs disk, not memory.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from common.errors import MachineError

Array = npt.NDArray[Any]

# Bytes from which on an array lies in a file.
LARGE = 1 << 18

# Numbers or records looked at in one go: few enough to stay in a cache, many enough for numpy to
# be quick.
CHUNK = 1 << 14


def directory() -> str:
    """Return where the files lie: ``TMPDIR``, else ``/var/tmp``, as ``/tmp`` is often memory."""
    for path in (os.environ.get("TMPDIR"), "/var/tmp"):
        if path and os.access(path, os.W_OK | os.X_OK):
            return path
    return tempfile.gettempdir()


def empty(count: int, dtype: npt.DTypeLike) -> Array:
    """Return an array of ``count`` numbers whose values do not matter yet.

    Raises ``MachineError`` when the disk has no room for it.
    """
    return full(count, 0, dtype)


def parts(count: int) -> Iterator[slice]:
    """Yield the parts in which to look at an array of ``count`` numbers."""
    for begin in range(0, count, CHUNK):
        yield slice(begin, min(begin + CHUNK, count))


def full(count: int, value: int, dtype: npt.DTypeLike = np.int64) -> Array:
    """Return an array of ``count`` numbers, each ``value``.

    Raises ``MachineError`` when the disk has no room for it: a page that is mapped without room
    behind it would kill its writer. To write a file takes half the time of filling its pages.
    """
    part = np.full(min(count, CHUNK), value, dtype)
    return join((part[: at.stop - at.start] for at in parts(count)), dtype)


def places(ordered: Array, wanted: Array) -> npt.NDArray[np.int64]:
    """Return where in ``ordered``, which ascends, each of ``wanted`` stands or would stand.

    Faster than a search for one after the other, as neighbours are found in the same cache lines.
    """
    order = np.argsort(wanted)
    found = np.empty(len(wanted), np.int64)
    found[order] = np.searchsorted(ordered, wanted[order])
    return found


class Growing:
    """An array whose length is not known before its last part has come."""

    def __init__(self, dtype: npt.DTypeLike) -> None:
        self._dtype = np.dtype(dtype)
        self._parts: list[Array] = []
        self._size = 0
        self._file: IO[bytes] | None = None

    def append(self, part: Array) -> None:
        """Add ``part`` at the end; raises ``MachineError`` when the disk has no room for it."""
        if not len(part):
            return
        self._parts.append(np.ascontiguousarray(part, self._dtype))
        self._size += self._parts[-1].nbytes
        if self._file is None and self._size >= LARGE:
            self._file = _file()
            weakref.finalize(self, self._file.close)
        if self._file is not None:
            try:
                for waiting in self._parts:
                    self._file.write(waiting.data)
            except OSError as error:
                raise _no_room(error) from None
            self._parts.clear()

    def array(self) -> Array:
        """Return all that came; nothing can be added afterwards."""
        if self._file is None:
            return np.concatenate([np.empty(0, self._dtype), *self._parts])
        with self._file as file:
            try:
                file.flush()
            except OSError as error:
                raise _no_room(error) from None
            return _mapped(file, self._size, self._dtype)


def join(parts: Iterable[Array], dtype: npt.DTypeLike) -> Array:
    """Return ``parts`` as one array."""
    growing = Growing(dtype)
    for part in parts:
        growing.append(part)
    return growing.array()


def _file() -> IO[bytes]:
    try:
        return tempfile.TemporaryFile(prefix="lab-", dir=directory())
    except OSError as error:
        raise _no_room(error) from None


def _mapped(file: IO[bytes], size: int, dtype: npt.DTypeLike) -> Array:
    # The mapping holds the file; the array holds the mapping.
    return np.frombuffer(mmap.mmap(file.fileno(), size), dtype)


def _no_room(error: OSError) -> MachineError:
    return MachineError(
        f"the working files of the judge have no room in {directory()}: {error.strerror}",
        "set TMPDIR to a directory on a disk with more room",
    )
