"""A POSIX shared memory object: a name and a descriptor, mapped as a file is.

Linux keeps it in /dev/shm, where a process sees it as a file. An object that was unlinked goes on
for those who have it mapped (shm_overview(7)).
"""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import posix_ipc

from common.errors import KernelObjectError, NotPermitted, ObjectVanished
from common.kernel import existing, mapped_file
from common.kernel.locks import Address
from common.kernel.mapped_file import Mapped
from common.kernel.tables import Facts

if TYPE_CHECKING:
    from common.kernel.objects import Maker

# The objects of a limited number that one table makes.
OBJECTS: dict[str, int] = {}

# Its cells are memory: what is behind them can hold an intent record.
MAPPED = True


@dataclass(frozen=True)
class Options:
    """None."""


def facts(options: Options) -> Facts:
    """Return how it behaves (shm_overview(7), shm_open(3))."""
    return Facts(
        outlives=False,
        access="one aligned load or store",
        limits="room in /dev/shm, asked for before it is mapped (a hole is a SIGBUS)",
        persists="until it is unlinked and nobody has it mapped, or the machine reboots",
        named="a POSIX IPC name (/dev/shm/NAME on Linux)",
    )


def make(options: Options, size: int, maker: Maker, behind: int = 0) -> dict[str, Any]:
    """Make a zeroed object of ``size`` bytes. Raises ``MachineError`` when /dev/shm is full."""
    size += behind
    name = maker.posix_shm(size)
    status = existing.path("posix_shm", name).stat()
    return {"name": name, "inode": status.st_ino, "size": size, "fresh": True}


def attach(address: Address) -> Mapped:
    """Map the object; raises ``ObjectVanished``, ``NotPermitted`` and ``KernelObjectError``."""
    name, size = address["name"], address["size"]
    try:
        memory = posix_ipc.SharedMemory(name)
    except posix_ipc.ExistentialError:
        raise ObjectVanished(f"there is no POSIX shared memory {name}") from None
    except posix_ipc.PermissionsError:
        raise NotPermitted(f"POSIX shared memory {name} is closed to this user") from None
    except OSError as error:
        # ELOOP: somebody put a link in its place, which shm_open(3) does not follow.
        raise KernelObjectError(f"POSIX shared memory {name}: {error.strerror}") from None
    try:
        problem = mapped_file.problem(os.fstat(memory.fd), address)
        if problem:
            raise ObjectVanished(f"POSIX shared memory {name} {problem}")
        return Mapped(mmap.mmap(memory.fd, size))
    finally:
        memory.close_fd()
