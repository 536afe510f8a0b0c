"""A System V shared memory segment: gone when its launcher removes it.

A program that knows only the lecture's struct may attach it by its key.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sysv_ipc

from common.errors import NotPermitted, ObjectVanished
from common.kernel import asking
from common.kernel.foreign import Awaited
from common.kernel.locks import Address
from common.kernel.tables import Facts

if TYPE_CHECKING:
    from common.kernel.objects import Maker

# The objects of a limited number that one table makes.
OBJECTS = {"sysv_shm": 1}

PAGE = 4096

# Its cells are memory: what is behind them can hold an intent record.
MAPPED = True


@dataclass(frozen=True)
class Options:
    """Under which key the segment is found."""

    key: int | None = asking.key("the segment", "the lecture's EXCHKEY is 0x45584348 here")
    made_by: str = asking.maker()


def facts(options: Options) -> Facts:
    """Return how it behaves (shmget(2), shmat(2))."""
    return Facts(
        outlives=False,
        access="one aligned load or store",
        limits="shmmni segments, shmmax bytes each; fixed when it is made",
        persists="until it is removed and nobody has it attached, or its IPC namespace ends",
        named="a key_t; the id in each process",
    )


def make(options: Options, size: int, maker: Maker, behind: int = 0) -> dict[str, Any]:
    """Make a zeroed segment of whole pages. Raises ``ObjectExists`` for a fixed key in use."""
    pages = -(-(size + behind) // PAGE)
    return {"key": maker.sysv_shm(pages * PAGE, options.key), "fresh": True}


def awaited(options: Options, size: int) -> list[Awaited]:
    """Return what another program makes, where the lab does not."""
    return [] if options.key is None else [Awaited("sysv_shm", options.key, size)]


def named(options: Options, size: int) -> dict[str, Any]:
    """Return the address of a segment that another program makes."""
    return {"key": options.key, "fresh": False}


def attach(address: Address) -> SysvMemory:
    """Attach the segment; raises ``ObjectVanished`` and ``NotPermitted``."""
    key = address["key"]
    try:
        return SysvMemory(sysv_ipc.SharedMemory(key))
    except sysv_ipc.ExistentialError:
        raise ObjectVanished(f"there is no shared memory segment with key {key:#x}") from None
    except sysv_ipc.PermissionsError:
        raise NotPermitted(f"segment {key:#x} is closed to this user", "ipcs -m") from None


class SysvMemory:
    """An attached segment."""

    def __init__(self, segment: sysv_ipc.SharedMemory) -> None:
        self._segment = segment
        self.bytes = memoryview(segment)
        # Another program's segment may end within a double.
        self.cells = self.bytes[: len(self.bytes) // 8 * 8].cast("d")

    def close(self) -> None:
        """Release the views, then detach; a view that somebody still has keeps it attached.

        Reading through a view of detached memory is a segmentation fault, through a released one
        a ``ValueError``.
        """
        self.cells.release()
        self.bytes.release()
        # A slice that is still alive holds a reference of its own, beside ours and the call's.
        if self._segment.attached and sys.getrefcount(self._segment) == 2:
            self._segment.detach()
