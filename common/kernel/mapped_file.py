"""Files that processes share: one that outlives its runs is held by one of them at a time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from common.errors import (
    KernelObjectError,
    MachineError,
    NotPermitted,
    ObjectExists,
    ObjectVanished,
)
from common.kernel import closed
from common.kernel.locks import Address

if TYPE_CHECKING:
    from common.kernel.objects import Maker

FIRST_PAUSE, LONGEST_PAUSE = 0.001, 0.1

# What open(2) says when the file has gone, or something else (a link, a directory) has its name.
_REPLACED = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENXIO)


class Mapped:
    """Memory that is mapped from a descriptor, as bytes and as doubles."""

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


def make_lasting(
    relative: str, size: int, maker: Maker, *, anywhere: bool = False, behind: int = 0
) -> dict[str, Any]:
    """Make the file of a table, or take the one of an earlier run, and hold it for this run alone.

    ``fresh`` says that it holds zeros only; ``anywhere`` that the path may be absolute; ``behind``
    are bytes that follow the table, which an earlier run need not have made. Raises
    ``KernelObjectError`` for a path that leads out of the directory, ``NotPermitted`` for what is
    not a plain file of ours, ``ObjectExists`` when another run does not let go of it,
    ``MachineError`` when the disk is full.
    """
    inside = PurePath(relative)
    if (inside.is_absolute() and not anywhere) or ".." in inside.parts or not inside.parts:
        raise KernelObjectError(
            f"the table's file {relative!r} is not inside {maker.base}",
            "give a path relative to the directory that holds the scenario's runs",
        )
    path = maker.base / inside
    fresh = maker.file(path, size, behind)
    status = path.stat()
    return {"path": str(path), "inode": status.st_ino, "size": status.st_size, "fresh": fresh}


def reopen(address: Address, what: str) -> int:
    """Open the file that the launcher made, to read and write; returns its descriptor.

    Raises ``ObjectVanished`` when it was removed, replaced or cut, and ``NotPermitted``; ``what``
    names it in the message.
    """
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(address["path"], flags)
    except OSError as error:
        raise _refused(error, what) from None
    try:
        _compare(os.fstat(fd), address, what)
    except ObjectVanished:
        os.close(fd)
        raise
    return fd


def look(address: Address, what: str) -> None:
    """Raise what ``reopen`` would, without opening anything."""
    try:
        status = os.lstat(address["path"])
    except OSError as error:
        raise _refused(error, what) from None
    _compare(status, address, what)


def problem(status: os.stat_result, address: Address) -> str:
    """Return what has become of a file since it was made ("" for nothing)."""
    if status.st_ino != address["inode"]:
        return "was replaced by another file"
    if status.st_size < address.get("size", 0):
        return f"was cut from {address['size']} to {status.st_size} bytes"
    return ""


def open_exclusively(path: Path, patience: float, interrupted: Callable[[], bool]) -> int:
    """Open or make ``path`` and lock it (flock(2)); returns its descriptor.

    Waits up to ``patience`` (s) for another run to let go, then raises ``ObjectExists`` naming the
    holder; raises ``MachineError`` as soon as ``interrupted`` says so. Raises ``NotPermitted`` for
    a file that is not regular, not ours, or has a second name.
    """
    deadline = time.monotonic() + patience
    pause = FIRST_PAUSE
    while True:
        fd = _open_regular(path)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Between open and lock another run may have put another file in its place.
            if os.path.samestat(os.fstat(fd), os.lstat(path)):
                return fd
        except (BlockingIOError, FileNotFoundError):
            pass
        holder = _holder(fd)
        os.close(fd)
        if interrupted():
            raise MachineError(f"interrupted while waiting for {path}, held by {holder}")
        if time.monotonic() > deadline:
            raise ObjectExists(
                f"{path} has been held by another run ({holder}) for {patience:g} s",
                "wait for it to end, or run with another --out",
            )
        # A pause, not synchronisation, which the lock does: flock(2) knows no deadline, and Python
        # goes on with it after a signal. Look again, ever more seldom.
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)


def _open_regular(path: Path) -> int:
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, flags | os.O_CREAT, 0o600)
    except PermissionError:
        raise NotPermitted(
            f"{path} is closed to this user (uid {os.geteuid()}): {closed.told(path)}",
            "name another file, or have its owner open it",
        ) from None
    except OSError as error:
        raise KernelObjectError(
            f"cannot open {path}: {error.strerror}", "it must be a regular file, not a link"
        ) from None
    status = os.fstat(fd)
    problem = ""
    if not stat.S_ISREG(status.st_mode):
        problem = "is not a regular file"
    elif status.st_uid != os.geteuid():
        problem = f"belongs to uid {status.st_uid}"
    elif status.st_nlink != 1:
        problem = f"has {status.st_nlink} names (hard links)"
    if problem:
        os.close(fd)
        raise NotPermitted(f"{path} {problem}", "name another file, or move it away")
    return fd


def _holder(fd: int) -> str:
    # /proc/locks: "1: FLOCK ADVISORY WRITE <pid> <major>:<minor>:<inode> 0 EOF" (proc(5))
    inode = os.fstat(fd).st_ino
    for line in Path("/proc/locks").read_text().splitlines():
        fields = line.split()
        if "FLOCK" in fields and f":{inode} " in line:
            return f"process {fields[fields.index('FLOCK') + 3]}"
    return "a process unknown"


def _compare(status: os.stat_result, address: Address, what: str) -> None:
    found = problem(status, address)
    if found:
        raise ObjectVanished(f"{what} {found}")


def _refused(error: OSError, what: str) -> Exception:
    if error.errno in _REPLACED:
        return ObjectVanished(f"{what} is gone: {error.strerror}")
    return NotPermitted(
        f"cannot open {what}: {error.strerror}: {closed.told(Path(error.filename))}"
    )
