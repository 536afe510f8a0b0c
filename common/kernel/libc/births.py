"""When a file came to be: what an inode number, which is used again at once, does not tell."""

from __future__ import annotations

import ctypes
import os
import struct

_AT_FDCWD, _AT_SYMLINK_NOFOLLOW, _STATX_BTIME = -100, 0x100, 0x800
# struct statx (statx(2)): 256 bytes, what is filled in first, the birth at 80.
_SIZE, _BIRTH = 256, 80

_statx = getattr(ctypes.CDLL(None), "statx", None)
if _statx is not None:
    _statx.argtypes = (
        ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_char_p,
    )  # fmt: skip


def born(path: str) -> int | None:
    """Return when the file at ``path`` itself, no link's target, was made (ns, CLOCK_REALTIME).

    No call sets it, unlike the other times of a file. None where there is no file, and where its
    file system or the C library (glibc before 2.28) does not tell.
    """
    buffer = ctypes.create_string_buffer(_SIZE)
    arguments = (_AT_FDCWD, os.fsencode(path), _AT_SYMLINK_NOFOLLOW, _STATX_BTIME, buffer)
    if _statx is None or _statx(*arguments) != 0:
        return None
    (mask,) = struct.unpack_from("=I", buffer)
    seconds, nanoseconds = struct.unpack_from("=qI", buffer, _BIRTH)
    return int(seconds) * 1_000_000_000 + int(nanoseconds) if mask & _STATX_BTIME else None
