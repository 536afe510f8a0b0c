"""POSIX semaphores and shared memory with every errno, and what the C library offers at all.

The package posix_ipc says neither why a name is refused nor where a semaphore lies, and makes no
semaphore without a name. Every function raises ``OSError`` with the errno of its manual page.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import time

# What sem_init(3) needs room for, on every machine (__SIZEOF_SEM_T of glibc is at most this).
SEM_SIZE = 32
_NANOSECONDS = 1_000_000_000


class _Timespec(ctypes.Structure):
    _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))


_libc = ctypes.CDLL(None, use_errno=True)
# Before glibc 2.34 each of these was in a library of its own.
_libraries = [_libc]
for _name in ("libpthread.so.0", "librt.so.1"):
    try:
        _libraries.append(ctypes.CDLL(_name, use_errno=True))
    except OSError:
        continue
_threads = next(each for each in _libraries if hasattr(each, "sem_open"))
_shm = next(each for each in _libraries if hasattr(each, "shm_open"))

_int, _text, _pointer = ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p
_threads.sem_open.argtypes = (_text, _int, ctypes.c_uint, ctypes.c_uint)
_threads.sem_open.restype = _pointer
_threads.sem_init.argtypes = (_pointer, _int, ctypes.c_uint)
_threads.sem_timedwait.argtypes = (_pointer, ctypes.POINTER(_Timespec))
_threads.sem_getvalue.argtypes = (_pointer, ctypes.POINTER(_int))
for _name in ("sem_close", "sem_destroy", "sem_post", "sem_wait", "sem_trywait"):
    getattr(_threads, _name).argtypes = (_pointer,)
_threads.sem_unlink.argtypes = (_text,)
_shm.shm_open.argtypes = (_text, _int, ctypes.c_uint)
_shm.shm_unlink.argtypes = (_text,)


def offered(function: str) -> bool:
    """Say whether the C library has a function of this name (dlsym(3))."""
    return any(hasattr(each, function) for each in _libraries)


def sem_open(name: str, flags: int = 0, mode: int = 0o600, value: int = 0) -> int:
    """Open, or with O_CREAT make, a named semaphore; returns its address (sem_open(3))."""
    address: int | None = _threads.sem_open(name.encode(), flags, mode, value)
    return address if address else _fail()


def sem_close(semaphore: int) -> None:
    """Close a named semaphore (sem_close(3))."""
    _checked(_threads.sem_close(semaphore))


def sem_unlink(name: str) -> None:
    """Take a semaphore's name away (sem_unlink(3))."""
    _checked(_threads.sem_unlink(name.encode()))


def sem_init(memory: mmap.mmap, *, shared: bool, value: int = 0) -> int:
    """Make a semaphore without a name at the beginning of ``memory`` (sem_init(3)).

    Returns its address, good as long as the mapping. ``shared`` says that other processes use it.
    """
    if len(memory) < SEM_SIZE:
        raise ValueError(f"a semaphore needs {SEM_SIZE} bytes, there are {len(memory)}")
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    _checked(_threads.sem_init(address, int(shared), value))
    return address


def sem_post(semaphore: int) -> None:
    """Raise a semaphore by one (sem_post(3))."""
    _checked(_threads.sem_post(semaphore))


def sem_wait(semaphore: int) -> None:
    """Lower a semaphore by one; blocks while it is 0, without limit (sem_wait(3))."""
    _checked(_threads.sem_wait(semaphore))


def sem_timedwait(semaphore: int, seconds: float) -> None:
    """Lower a semaphore by one; blocks at most ``seconds`` (sem_timedwait(3): ETIMEDOUT)."""
    # It takes a time of the wall clock, not a duration.
    end = time.clock_gettime_ns(time.CLOCK_REALTIME) + int(seconds * _NANOSECONDS)
    until = _Timespec(*divmod(end, _NANOSECONDS))
    _checked(_threads.sem_timedwait(semaphore, ctypes.byref(until)))


def sem_trywait(semaphore: int) -> None:
    """Lower a semaphore by one if it is above 0 (sem_trywait(3): EAGAIN)."""
    _checked(_threads.sem_trywait(semaphore))


def sem_getvalue(semaphore: int) -> int:
    """Return a semaphore's value (sem_getvalue(3))."""
    value = ctypes.c_int()
    _checked(_threads.sem_getvalue(semaphore, ctypes.byref(value)))
    return value.value


def shm_open(name: str, flags: int, mode: int = 0o600) -> int:
    """Open, or with O_CREAT make, a shared memory object; returns a descriptor (shm_open(3))."""
    return _checked(_shm.shm_open(name.encode(), flags, mode))


def shm_unlink(name: str) -> None:
    """Take a shared memory object's name away (shm_unlink(3))."""
    _checked(_shm.shm_unlink(name.encode()))


def _checked(result: int) -> int:
    return _fail() if result == -1 else result


def _fail() -> int:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number))
