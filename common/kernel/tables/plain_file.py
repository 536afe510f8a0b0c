"""A file that is read and written cell by cell, without a mapping: a system call each.

The lecture: early programs used file-system tricks. The file is the one that ``mmap_file`` maps,
under the same name unless it is given another: the bytes are the same, and so a run of either kind
carries on what a run of the other one left.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Any, overload

from common.errors import KernelObjectError, ObjectVanished
from common.kernel import mapped_file
from common.kernel.locks import Address
from common.kernel.tables import Facts, mmap_file

if TYPE_CHECKING:
    from common.kernel.objects import Maker

# The objects of a limited number that one table makes.
OBJECTS: dict[str, int] = {}

Options = mmap_file.Options
awaited, named = mmap_file.awaited, mmap_file.named

_DOUBLE = struct.Struct("@d")
_pack, _unpack = _DOUBLE.pack, _DOUBLE.unpack
_read, _write = os.pread, os.pwrite


def facts(options: Options) -> Facts:
    """Return how it behaves (pread(2), write(2))."""
    return Facts(
        outlives=True,
        access="a system call: pread(2) or pwrite(2) of 8 bytes",
        limits="room on the disk, asked for when the file is made",
        persists="until the file is removed; across a power cut only what was synced (fsync(2))",
        named="a path; the descriptor in each process",
    )


def make(options: Options, size: int, maker: Maker, behind: int = 0) -> dict[str, Any]:
    """Make the file, or take that of an earlier run (see ``mapped_file.make_lasting``)."""
    return mapped_file.make_lasting(
        options.path, size, maker, anywhere=options.anywhere, behind=behind
    )


def attach(address: Address) -> PlainFile:
    """Open the file; raises ``ObjectVanished`` when it was removed, replaced or cut."""
    return PlainFile(mapped_file.reopen(address, address["path"]), address["path"], address["size"])


class PlainFile:
    """An open file."""

    def __init__(self, fd: int, path: str, size: int) -> None:
        self._opened = _Opened(fd, path)
        self.cells = FileCells(self._opened, range(0, size // 8 * 8, 8))

    def close(self) -> None:
        """Close the file; cells that somebody still has can no longer be read."""
        self._opened.close()


class _Opened:
    """What the cells of one memory share, so that none uses a number that was closed."""

    __slots__ = ("fd", "path")

    def __init__(self, fd: int, path: str) -> None:
        self.fd = fd
        self.path = path

    def close(self) -> None:
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def explained(self, error: Exception) -> Exception:
        """Return what it means that a cell could not be read or written."""
        if self.fd < 0:
            return ValueError("operation forbidden on released file cells")
        if isinstance(error, OSError):
            return KernelObjectError(f"{self.path}: {error.strerror}")
        return ObjectVanished(f"{self.path} was cut: a cell is no longer in it")


class FileCells:
    """Doubles of a file by their number, each read by one pread(2) and written by one pwrite(2).

    A call moves 8 aligned bytes within one page; calls on a regular file are to be atomic with
    respect to each other (POSIX.1-2008, XSI 2.9.7). Raises ``ObjectVanished`` where the file ends
    before a cell, ``KernelObjectError`` for a failure of the device.
    """

    __slots__ = ("_opened", "_places")

    def __init__(self, opened: _Opened, places: range) -> None:
        self._opened = opened
        self._places = places

    @overload
    def __getitem__(self, at: int, /) -> float: ...
    @overload
    def __getitem__(self, at: slice, /) -> FileCells: ...
    def __getitem__(self, at: int | slice, /) -> float | FileCells:
        """Return one cell, or a view of some."""
        if isinstance(at, slice):
            return FileCells(self._opened, self._places[at])
        place = self._places[at]
        try:
            value: float = _unpack(_read(self._opened.fd, 8, place))[0]
        except (OSError, struct.error) as error:
            raise self._opened.explained(error) from None
        return value

    def __setitem__(self, at: int, value: float, /) -> None:
        """Store one cell."""
        eight, place = _pack(value), self._places[at]
        try:
            _write(self._opened.fd, eight, place)
        except OSError as error:
            raise self._opened.explained(error) from None

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._places)

    def tolist(self) -> list[float]:
        """Return all of them, read one after the other."""
        return [self[at] for at in range(len(self._places))]
