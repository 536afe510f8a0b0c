"""Locks on files that are waited for in one system call, which a signal ends.

Python's own ``fcntl`` and ``flock`` go on after a signal (PEP 475), so a wait there has no end.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fcntl.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_char_p)
_libc.flock.argtypes = (ctypes.c_int, ctypes.c_int)


def waiting_fcntl(fd: int, command: int, record: bytes) -> Callable[[], bool]:
    """Return a function that places a record lock (F_SETLKW or F_OFD_SETLKW, fcntl(2)).

    ``record`` is a ``struct flock``. The function blocks until the lock is placed: True, or until
    a signal comes: False. It raises ``OSError``: EDEADLK, ENOLCK, EBADF.
    """
    call = _libc.fcntl
    return lambda: _done(call(fd, command, record))


def waiting_flock(fd: int, operation: int) -> Callable[[], bool]:
    """Return a function that does flock(2) with ``operation``; it answers as the other one does."""
    call = _libc.flock
    return lambda: _done(call(fd, operation))


def _done(result: int) -> bool:
    if result != -1:
        return True
    number = ctypes.get_errno()
    if number == errno.EINTR:
        return False
    raise OSError(number, os.strerror(number))
