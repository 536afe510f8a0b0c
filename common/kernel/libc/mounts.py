"""A file system of one's own: mount(2), umount2(2), in a mount namespace that ends with its users.

Needs CAP_SYS_ADMIN, as root has it.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
_libc.unshare.argtypes = (ctypes.c_int,)
_libc.mount.argtypes = (
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_ulong,
    ctypes.c_char_p,
)
_libc.umount2.argtypes = (ctypes.c_char_p, ctypes.c_int)

_CLONE_NEWNS, _CLONE_NEWIPC = 0x00020000, 0x08000000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_PRIVATE = 2, 4, 8, 0x4000, 1 << 18
_MNT_DETACH = 2


def leave_mounts() -> None:
    """Give this process mounts of its own: what it mounts nobody else sees; raises ``OSError``.

    They end with the last process that has them.
    """
    _done(_libc.unshare(_CLONE_NEWNS))
    _done(_libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None))


def leave_ipc() -> None:
    """Give this process System V objects and POSIX queues of its own (ipc_namespaces(7)).

    There are none at first, and they end with the last process that sees them. Raises ``OSError``.
    """
    _done(_libc.unshare(_CLONE_NEWIPC))


def mount_queues(path: Path) -> None:
    """Show the POSIX queues of this IPC namespace as files (mq_overview(7)); raises ``OSError``."""
    _done(_libc.mount(b"lab", os.fsencode(path), b"mqueue", 0, None))


def mount_tmpfs(path: Path, size: int) -> None:
    """Mount a tmpfs(5) that holds ``size`` bytes, in whole pages; raises ``OSError``."""
    flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    told = f"size={size},mode=0700".encode()
    _done(_libc.mount(b"lab", os.fsencode(path), b"tmpfs", flags, told))


def unmount(path: Path) -> None:
    """Take a mount away, whoever still has a file in it open; raises ``OSError``."""
    _done(_libc.umount2(os.fsencode(path), _MNT_DETACH))


def _done(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
