"""POSIX threads' mutexes, read-write locks, spinlocks and conditions, between processes.

Each lies at an address in shared memory, a cache line of its own, and has no name (lecture: "Posix
mutex: no name, pthread_mutex_t *"). All are made PTHREAD_PROCESS_SHARED: without it a process of
other memory is never woken. What can be told from outside is read from glibc's own words.
"""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

from common.kernel.libc.bare import Bare, Pointer, Timed, bare

# Bytes from one object to the next: none is larger on any machine (a read-write lock has 56).
LINE = 64

_PROCESS_SHARED = 1
_ROBUST = 1
_ERRORCHECK = 2
_PREFER_READERS, _PREFER_WRITERS = 0, 2
_CLOCK_MONOTONIC = 1
# Room for any attributes object (glibc's largest has 8 bytes).
_ATTRIBUTES = 64

# A robust mutex's word, which the kernel reads (linux/futex.h): the owner's tid, beside flags.
_TID = 0x3FFFFFFF
# glibc's pthread_mutex_t: the number of the word with the owner's tid, and what stands there once
# the mutex is lost for good.
_OWNER, _NOT_RECOVERABLE = 2, 0x7FFFFFFE
# glibc's pthread_rwlock_t: its first word has flags and the number of readers; its seventh the
# writer's tid. A writer has it in the phase of writers; a writer that waits has only the flag.
_WRITE_PHASE, _WRITE_LOCKED, _READER_SHIFT, _WRITER = 1, 2, 3, 6

_libc = ctypes.CDLL(None)
Words = Sequence[int]


def init_mutex(address: int, *, robust: bool) -> None:
    """Make a free error-checking mutex; if ``robust`` a dead owner's is given on (EOWNERDEAD)."""
    with_robust = [("mutexattr_setrobust", _ROBUST)] if robust else []
    kind = [("mutexattr_setpshared", _PROCESS_SHARED), ("mutexattr_settype", _ERRORCHECK)]
    _init("mutex", address, [*kind, *with_robust])


def init_rwlock(address: int, *, prefer_writers: bool) -> None:
    """Make a free read-write lock; who goes first: readers, or a writer that waits."""
    kind = _PREFER_WRITERS if prefer_writers else _PREFER_READERS
    pairs = [("rwlockattr_setpshared", _PROCESS_SHARED), ("rwlockattr_setkind_np", kind)]
    _init("rwlock", address, pairs)


def init_condition(address: int) -> None:
    """Make a condition variable whose waits count in CLOCK_MONOTONIC."""
    pairs = [("condattr_setpshared", _PROCESS_SHARED), ("condattr_setclock", _CLOCK_MONOTONIC)]
    _init("cond", address, pairs)


def init_spinlock(address: int) -> None:
    """Make a free spinlock."""
    _check(_libc.pthread_spin_init(ctypes.c_void_p(address), _PROCESS_SHARED))


def consistent(mutex: Pointer) -> None:
    """Say that what a robust mutex guards is whole again (pthread_mutex_consistent(3)).

    For who was told EOWNERDEAD; raises ``OSError`` (EINVAL) for anybody else.
    """
    _check(_libc.pthread_mutex_consistent(mutex))


def robust_owner(words: Words) -> int:
    """Return the tid that a robust mutex is held by; 0 when it is free, or its owner died."""
    return words[0] & _TID


def owner(words: Words) -> int:
    """Return the tid that a mutex was last given to, while it is held; 0 when it is free."""
    return words[_OWNER] if words[0] else 0


def lost(words: Words) -> bool:
    """Say whether a mutex can never be held again: unlocked before it was made consistent."""
    return words[_OWNER] == _NOT_RECOVERABLE


def writer(words: Words) -> int:
    """Return the tid that has a read-write lock for writing; 0 when there is none."""
    return words[_WRITER]


def may_write(words: Words) -> bool:
    """Say whether a read-write lock is free of readers and of writers, those that wait too."""
    return not words[0] & _WRITE_LOCKED and not words[0] >> _READER_SHIFT


def may_read(words: Words, *, prefer_writers: bool) -> bool:
    """Say whether a reader could go in."""
    writing = _WRITE_LOCKED if prefer_writers else _WRITE_LOCKED | _WRITE_PHASE
    return words[0] & writing != writing


def spinlock_free(words: Words) -> bool:
    """Say whether a spinlock is free; its word differs between machines."""
    return words[0] == _free_word()


class MutexCalls(NamedTuple):
    """The calls of one mutex: ``lock`` does not wait. Each returns None, or the error number."""

    lock: Bare
    unlock: Bare


def mutex_calls(mutex: Pointer) -> MutexCalls:
    """Return the bare calls of a mutex; who is told EOWNERDEAD has it all the same."""
    lock, unlock = (
        bare(f"pthread_mutex_{name}", mutex, otherwise=lambda number: number)
        for name in ("trylock", "unlock")
    )
    return MutexCalls(lock, unlock)


class Condition:
    """A condition variable at an address, used with one mutex (pthread_cond_wait(3)).

    ``signal`` wakes one who waits, ``broadcast`` all. ``wait(seconds)`` gives the mutex back,
    waits, and takes it again, also when the time is over; it returns 0, ETIMEDOUT, or EOWNERDEAD
    where the mutex is a dead owner's. Who was woken looks again at what it waited for: a wake-up
    may come for nothing.
    """

    def __init__(self, condition: Pointer, mutex: Pointer) -> None:
        self.signal: Bare = bare("pthread_cond_signal", condition, otherwise=_check)
        self.broadcast: Bare = bare("pthread_cond_broadcast", condition, otherwise=_check)
        self.wait: Callable[[float], int] = Timed("pthread_cond_clockwait", condition, mutex)


@functools.cache
def _free_word() -> int:
    word = ctypes.c_int()
    init_spinlock(ctypes.addressof(word))
    return word.value


def _init(kind: str, address: int, settings: Sequence[tuple[str, int]]) -> None:
    attributes = ctypes.create_string_buffer(_ATTRIBUTES)
    attribute = settings[0][0].partition("_")[0]
    _check(_libc[f"pthread_{attribute}_init"](attributes))
    for name, value in settings:
        _check(_libc[f"pthread_{name}"](attributes, value))
    _check(_libc[f"pthread_{kind}_init"](ctypes.c_void_p(address), attributes))
    _check(_libc[f"pthread_{attribute}_destroy"](attributes))


def _check(number: int) -> None:
    if number:
        raise OSError(number, os.strerror(number))
