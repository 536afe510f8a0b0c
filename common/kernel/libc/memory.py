"""Raw mappings and raw accesses, which Python's mmap refuses where the kernel would not.

Whoever loads or stores at an address that is not mapped dies as a C program does: by SIGSEGV, or
by SIGBUS beyond the end of a mapped file. So this belongs into a process that may die.
"""

from __future__ import annotations

import ctypes
import os

PROT_NONE = 0
MAP_FIXED = 0x10
# What mmap(2) returns when it fails: (void *) -1.
MAP_FAILED = ctypes.c_void_p(-1).value or 0

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_long,
)
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_libc.msync.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_MS_SYNC = 4
# Before glibc 2.34 semaphores were in a library of their own.
_semaphores = (
    _libc if hasattr(_libc, "sem_destroy") else ctypes.CDLL("libpthread.so.0", use_errno=True)
)
_semaphores.sem_destroy.argtypes = (ctypes.c_void_p,)


def call_mmap(
    length: int, prot: int, flags: int, fd: int, offset: int = 0, start: int = 0
) -> tuple[int, int]:
    """Call mmap(2); returns what it returned, as an unsigned address, and errno (0: it mapped).

    ``length`` and ``offset`` are in bytes; ``start`` 0 lets the kernel choose the address.
    """
    ctypes.set_errno(0)
    address = _libc.mmap(start, length, prot, flags, fd, offset) or 0
    return address, ctypes.get_errno() if address == MAP_FAILED else 0


def map_memory(length: int, prot: int, flags: int, fd: int, offset: int = 0, start: int = 0) -> int:
    """Map memory as mmap(2) does, with any length; returns its address. Raises ``OSError``."""
    address, number = call_mmap(length, prot, flags, fd, offset, start)
    if number:
        raise OSError(number, os.strerror(number))
    return address


def unmap(address: int, length: int) -> None:
    """Take a mapping of ``length`` bytes away (munmap(2)). Raises ``OSError``."""
    _done(_libc.munmap(address, length))


def sync(address: int, length: int) -> None:
    """Write a mapping's changed pages to its file, and wait for it (msync(2), MS_SYNC).

    Raises ``OSError``.
    """
    _done(_libc.msync(address, length, _MS_SYNC))


def load(address: int, size: int = 1) -> bytes:
    """Return ``size`` bytes at an address of this process."""
    return ctypes.string_at(address, size)


def store(address: int, data: bytes) -> None:
    """Write bytes at an address of this process."""
    ctypes.memmove(address, data, len(data))


def destroy_semaphore(address: int) -> None:
    """End an unnamed semaphore that nobody waits for (sem_destroy(3)). Raises ``OSError``."""
    _done(_semaphores.sem_destroy(address))


def _done(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
