"""A lock of flock(2): on a whole file, held by everybody who inherited its descriptor.

It belongs to what open(2) made: it is freed when the last copy of that descriptor is closed, so a
child that was forked inside holds it, too. Many readers hold it at once (LOCK_SH).
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.errors import LabError
from common.kernel import mapped_file
from common.kernel.file_locks import FileLock, Mode
from common.kernel.libc import files
from common.kernel.locks import FREED, Address, Facts
from common.kernel.waits import Wait

if TYPE_CHECKING:
    from common.kernel.objects import Maker

# Whether one process at a time is inside, and whether a waiter is told of the object's removal.
EXCLUDES = True
TELLS_REMOVAL = False

# It is a file that any process may open.
A_FILE = True

# What tells who has it.
ASKED_BY = "/proc/locks"

# The objects of a limited number that one lock makes.
OBJECTS: dict[str, int] = {}


@dataclass(frozen=True)
class Options:
    """None."""


def facts(options: Options) -> Facts:
    """Return how it behaves (flock(2))."""
    return Facts(
        holder_dies=FREED,
        counts=False,
        inherited=True,
        waiting="sleeps in flock(2), which knows no timeout: a timer interrupts it",
        order="not promised; whoever the timer interrupts queues up again",
        limits="memory of the kernel (ENOLCK); a file a lock; nobody looks for circles",
        persists="until it is given back, or every copy of its holder's descriptor is closed",
        named="a path",
    )


def make(options: Options, maker: Maker) -> dict[str, Any]:
    """Make one lock: a file of its own. ``shown`` is how /proc/locks calls that file."""
    path = maker.lock_file("flock")
    fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        # Asked for while it is held: stat(2) may number devices in another way (btrfs, overlays).
        fcntl.flock(fd, fcntl.LOCK_EX)
        lines = Path(f"/proc/self/fdinfo/{fd}").read_text().splitlines()
        shown = [fields[-3] for line in lines if "FLOCK" in (fields := line.split())]
        inode = os.fstat(fd).st_ino
    finally:
        os.close(fd)
    return {"path": path, "inode": inode, "shown": shown[0] if shown else ""}


def attach(address: Address, wait: Wait, what: str) -> FileLock:
    """Open the lock; raises ``ObjectVanished`` and ``NotPermitted``."""
    fd = mapped_file.reopen(address, f"{what}: its file {address['path']}")

    def mode(operation: int) -> Mode:
        return Mode(
            partial(fcntl.flock, fd, operation | fcntl.LOCK_NB),
            files.waiting_flock(fd, operation),
            partial(_free, fd, operation),
        )

    give, close = partial(fcntl.flock, fd, fcntl.LOCK_UN), partial(os.close, fd)
    reading = FileLock(mode(fcntl.LOCK_SH), give, wait, what, close)
    return FileLock(mode(fcntl.LOCK_EX), give, wait, what, close, reading)


def reset(address: Address) -> None:
    """Do nothing: only its holder can give it back, and every process has abandoned it."""


def holder(address: Address) -> int | None:
    """Return the process that took it, or one of those that read (/proc/locks, proc(5)).

    A process that took it and died is told while a child has it; in a PID namespace it is not.
    """
    # "1: FLOCK ADVISORY WRITE <pid> <major>:<minor>:<inode> 0 EOF"; "->" stands before a waiter.
    for line in Path("/proc/locks").read_text().splitlines():
        kind, *fields = line.split()[1:]
        if kind == "FLOCK" and fields[3] == address["shown"]:
            return int(fields[2])
    return None


def value(address: Address) -> int | None:
    """Return 1 when it is free, 0 when it is held; None when its file is gone."""
    try:
        fd = mapped_file.reopen(address, "the lock")
    except LabError:
        return None
    found = _free(fd, fcntl.LOCK_EX)
    os.close(fd)
    return int(found)


def _free(fd: int, operation: int) -> bool:
    # There is no call that only looks: it is taken for an instant, by a description of its own, so
    # that what this process holds itself is not given back. The file may have lost its name.
    own = os.open(f"/proc/self/fd/{fd}", os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(own, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(own)
    return True
