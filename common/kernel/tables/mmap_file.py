"""A file mapped MAP_SHARED: its contents outlive the processes and carry on in the next run."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from common.errors import KernelObjectError, NotPermitted, ObjectVanished
from common.kernel.locks import Address
from common.kernel.tables import Facts
from common.options import option

if TYPE_CHECKING:
    from common.kernel.objects import Maker


# The objects of a limited number that one table makes.
OBJECTS: dict[str, int] = {}

# What open(2) says when the file has gone, or something else (a link, a directory) has its name.
_REPLACED = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENXIO)


@dataclass(frozen=True)
class Options:
    """Where the file is."""

    path: str = option(
        "exchange.dat", about="the file, relative to the directory that holds the scenario's runs"
    )


def facts(options: Options) -> Facts:
    """Return how it behaves (mmap(2))."""
    return Facts(
        outlives=True,
        access="one aligned load or store",
        limits="room on the disk, asked for before it is mapped (a hole is a SIGBUS)",
        persists="until the file is removed; across a power cut only what was synced (msync(2))",
        named="a path",
    )


def make(options: Options, size: int, maker: Maker) -> dict[str, Any]:
    """Make the file, or take the one of an earlier run, and hold it for this run alone.

    ``fresh`` says that it holds zeros only. Raises ``KernelObjectError`` for a path that leads
    out of the directory, ``NotPermitted`` for what is not a plain file of ours, ``ObjectExists``
    when another run does not let go of it, ``MachineError`` when the disk is full.
    """
    relative = PurePath(options.path)
    if relative.is_absolute() or ".." in relative.parts or not relative.parts:
        raise KernelObjectError(
            f"the table's file {options.path!r} is not inside {maker.base}",
            "give a path relative to the directory that holds the scenario's runs",
        )
    path = maker.base / relative
    fresh = maker.file(path, size)
    status = path.stat()
    return {"path": str(path), "inode": status.st_ino, "size": status.st_size, "fresh": fresh}


def attach(address: Address) -> MappedFile:
    """Map the file; raises ``ObjectVanished`` when it was removed, replaced or cut."""
    path, size = address["path"], address["size"]
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _REPLACED:
            raise ObjectVanished(f"{path} is gone: {error.strerror}") from None
        raise NotPermitted(f"cannot open {path}: {error.strerror}") from None
    try:
        problem = _problem(os.fstat(fd), address)
        if problem:
            raise ObjectVanished(f"{path} {problem}")
        return MappedFile(mmap.mmap(fd, size))
    except ValueError as error:
        # It was cut since it was looked at.
        raise ObjectVanished(f"{path}: {error}") from None
    finally:
        os.close(fd)


class MappedFile:
    """A mapped file."""

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory = memory
        self.bytes = memoryview(memory)
        # A file of an earlier run may end within a double.
        self.cells = self.bytes[: len(memory) // 8 * 8].cast("d")

    def close(self) -> None:
        """Release the views, then unmap; a view that somebody still has keeps it mapped."""
        self.cells.release()
        self.bytes.release()
        with contextlib.suppress(BufferError):
            self._memory.close()


def _problem(status: os.stat_result, address: Address) -> str:
    if status.st_ino != address["inode"]:
        return "was replaced by another file"
    if status.st_size < address["size"]:
        return f"was cut from {address['size']} to {status.st_size} bytes"
    return ""
