"""Semaphores that Python's packages do not make: unnamed POSIX ones, and sets of System V ones."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable, Sequence

from common.kernel.libc import IPC_NOWAIT, sysv_calls
from common.kernel.libc.bare import Bare, Pointer, bare

_PROCESS_SHARED = 1
# struct sembuf: number, change, flags (semop(2)).
_SEMBUF = struct.Struct("@HhH")
_libc = ctypes.CDLL(None, use_errno=True)


def init(address: int, value: int) -> None:
    """Make an unnamed semaphore for processes that share its memory (sem_init(3), pshared)."""
    if _libc.sem_init(ctypes.c_void_p(address), _PROCESS_SHARED, value) != 0:
        _fail()


def value(semaphore: Pointer) -> int:
    """Return the value of an unnamed semaphore (sem_getvalue(3)); 0 while anybody waits."""
    found = ctypes.c_int()
    if _libc.sem_getvalue(semaphore, ctypes.byref(found)) != 0:
        _fail()
    return found.value


def make_set(key: int, values: Sequence[int]) -> int:
    """Make a System V set, one semaphore a value; returns its id.

    For this user only (mode 0600); raises ``FileExistsError`` for a key in use, and ``OSError``
    when there is no room (semget(2)).
    """
    flags = sysv_calls.IPC_CREAT | sysv_calls.IPC_EXCL | 0o600
    set_id = sysv_calls.semget(key, len(values), flags)
    try:
        sysv_calls.sem_set_values(set_id, values)
    except OSError:
        sysv_calls.semctl(set_id, 0, sysv_calls.IPC_RMID)
        raise
    return set_id


def set_id(key: int) -> int:
    """Return the id of a System V set; raises ``OSError`` when there is none, or it is closed."""
    return sysv_calls.semget(key, 0)


def bare_semop(
    set_id: int, operations: Sequence[tuple[int, int, int]], otherwise: Callable[[int], object]
) -> Bare:
    """Return a call that performs all operations (number, change, flags) on a set, or none.

    It never blocks. ``otherwise`` is asked with the error number where it could not: EAGAIN where
    it would have to wait, EIDRM or EINVAL when the set is gone.
    """
    array = ctypes.create_string_buffer(
        b"".join(
            _SEMBUF.pack(number, change, flags | IPC_NOWAIT) for number, change, flags in operations
        )
    )
    return bare(
        "semop", set_id, ctypes.byref(array), ctypes.c_size_t(len(operations)),
        otherwise=lambda _answer: otherwise(ctypes.get_errno()), errno=True,
    )  # fmt: skip


def _fail() -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number))
