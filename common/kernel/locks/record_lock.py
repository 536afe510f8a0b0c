"""A record lock of fcntl(2): it belongs to the process, and the kernel sees circles of waiters.

POSIX.1-1988, the lecture's "record locking". Closing any descriptor of the file drops every lock
that the process has on it, whichever descriptor placed it: so a process opens the file once, and
closes it with its last handle.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.errors import LabError
from common.kernel import file_locks, mapped_file
from common.kernel.file_locks import Commands, FileLock
from common.kernel.locks import FREED, Address, Facts
from common.kernel.waits import Wait

if TYPE_CHECKING:
    from common.kernel.objects import Maker

# Whether one process at a time is inside, and whether a waiter is told of the object's removal.
EXCLUDES = True
TELLS_REMOVAL = False

# It is a file that any process may open.
A_FILE = True

# Its holder loses it by closing that file, however it opened it (fcntl(2)).
LOST_BY_REOPENING = True

# What tells who has it.
ASKED_BY = "F_GETLK"

# The objects of a limited number that one lock makes.
OBJECTS: dict[str, int] = {}

_COMMANDS = Commands(fcntl.F_SETLK, fcntl.F_SETLKW, fcntl.F_GETLK)

# The files that a process has open, and by how many handles: the process itself is part of the
# name, for a forked child has what its parent has here, and may have closed it.
_open: dict[tuple[int, str], list[int]] = {}


@dataclass(frozen=True)
class Options:
    """None."""


def facts(options: Options) -> Facts:
    """Return how it behaves (fcntl(2), "Advisory record locking")."""
    return Facts(
        holder_dies=FREED,
        counts=False,
        inherited=False,
        waiting="sleeps in fcntl(F_SETLKW), which knows no timeout: a timer interrupts it",
        order="not promised; whoever the timer interrupts queues up again",
        limits="memory of the kernel (ENOLCK); a byte of a file a lock",
        persists="until it is given back, or its holder closes any descriptor of the file or ends",
        named="a path and a byte of that file",
    )


def make(options: Options, maker: Maker) -> dict[str, Any]:
    """Make one lock: a byte of a file of its own."""
    return make_rows(options, 1, maker)[0]


def make_rows(options: Options, count: int, maker: Maker) -> list[dict[str, Any]]:
    """Make ``count`` locks: the first bytes of one file."""
    return file_locks.make_ranges("record_lock", count, maker)


def attach(address: Address, wait: Wait, what: str) -> FileLock:
    """Open the lock; raises ``ObjectVanished`` and ``NotPermitted``.

    Handles of one process do not keep each other out: the lock is the process's.
    """
    fd, at = _opened(address, what), address["at"]

    def close() -> None:
        # The file stays open for the other handles of this process.
        lock.abandon()
        _close(address)

    lock = file_locks.range_lock(fd, _COMMANDS, at, wait, what, close)
    return lock


def reset(address: Address) -> None:
    """Do nothing: only its holder can give it back, and every process has abandoned it."""


def holder(address: Address) -> int | None:
    """Return the process that holds it, or one of those that read (F_GETLK, fcntl(2)).

    None also where that is the process that asks: nothing is in its way.
    """
    try:
        with _looking(address) as fd:
            return file_locks.in_the_way(fd, _COMMANDS, address["at"])
    except LabError:
        return None


def value(address: Address) -> int | None:
    """Return 1 when another process could take it, 0 when not; None when its file is gone."""
    try:
        with _looking(address) as fd:
            return int(file_locks.in_the_way(fd, _COMMANDS, address["at"]) is None)
    except LabError:
        return None


@contextmanager
def _looking(address: Address) -> Iterator[int]:
    fd = _opened(address, "the lock")
    try:
        yield fd
    finally:
        _close(address)


def _opened(address: Address, what: str) -> int:
    path = address["path"]
    entry = _open.get((os.getpid(), path))
    if entry is None:
        fd = mapped_file.reopen(address, f"{what}: its file {path}")
        entry = _open[os.getpid(), path] = [fd, 0]
    else:
        # Never opened anew just to look: to close that again would drop what is held.
        mapped_file.look(address, f"{what}: its file {path}")
    entry[1] += 1
    return entry[0]


def _close(address: Address) -> None:
    key = (os.getpid(), address["path"])
    entry = _open.get(key)
    if entry is None:
        return
    entry[1] -= 1
    if not entry[1]:
        del _open[key]
        os.close(entry[0])
