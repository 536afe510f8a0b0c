"""An open file description lock of fcntl(2): a record lock that a forked child holds, too.

It belongs to what open(2) made, as flock(2) does: it is freed when the last copy of that descriptor
is closed. Closing other descriptors of the file does it no harm.
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from functools import partial
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

# The objects of a limited number that one lock makes.
OBJECTS: dict[str, int] = {}

_COMMANDS = Commands(fcntl.F_OFD_SETLK, fcntl.F_OFD_SETLKW, fcntl.F_OFD_GETLK)


@dataclass(frozen=True)
class Options:
    """None."""


def facts(options: Options) -> Facts:
    """Return how it behaves (fcntl(2), "Open file description locks")."""
    return Facts(
        holder_dies=FREED,
        counts=False,
        inherited=True,
        waiting="sleeps in fcntl(F_OFD_SETLKW), which knows no timeout: a timer interrupts it",
        order="not promised; whoever the timer interrupts queues up again",
        limits="memory of the kernel (ENOLCK); a byte of a file a lock; nobody looks for circles",
        persists="until it is given back, or every copy of its holder's descriptor is closed",
        named="a path and a byte of that file",
    )


def make(options: Options, maker: Maker) -> dict[str, Any]:
    """Make one lock: a byte of a file of its own."""
    return make_rows(options, 1, maker)[0]


def make_rows(options: Options, count: int, maker: Maker) -> list[dict[str, Any]]:
    """Make ``count`` locks: the first bytes of one file."""
    return file_locks.make_ranges("ofd_lock", count, maker)


def attach(address: Address, wait: Wait, what: str) -> FileLock:
    """Open the lock; raises ``ObjectVanished`` and ``NotPermitted``."""
    fd = mapped_file.reopen(address, f"{what}: its file {address['path']}")
    close = partial(os.close, fd)
    return file_locks.range_lock(fd, _COMMANDS, address["at"], wait, what, close)


def reset(address: Address) -> None:
    """Do nothing: only its holder can give it back, and every process has abandoned it."""


def holder(address: Address) -> int | None:
    """Return None: it belongs to an open file, which several processes may have."""
    return None


def value(address: Address) -> int | None:
    """Return 1 when it is free, 0 when it is held; None when its file is gone."""
    try:
        fd = mapped_file.reopen(address, "the lock")
    except LabError:
        return None
    found = file_locks.in_the_way(fd, _COMMANDS, address["at"])
    os.close(fd)
    return int(found is None)
