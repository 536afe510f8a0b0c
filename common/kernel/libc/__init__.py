"""System calls that Python and the packages do not offer: the only package that imports ctypes."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path

IPC_NOWAIT = 0o4000
SEM_UNDO = 0x1000
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_PR_GET_CHILD_SUBREAPER = 37
_NANOSECONDS = 1_000_000_000


class _Sembuf(ctypes.Structure):
    _fields_ = (
        ("sem_num", ctypes.c_ushort),
        ("sem_op", ctypes.c_short),
        ("sem_flg", ctypes.c_short),
    )


class _Timespec(ctypes.Structure):
    _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))


_libc = ctypes.CDLL(None, use_errno=True)
_libc.semtimedop.argtypes = (
    ctypes.c_int,
    ctypes.POINTER(_Sembuf),
    ctypes.c_size_t,
    ctypes.POINTER(_Timespec),
)
_libc.prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)


def semtimedop(
    semid: int, operations: Sequence[tuple[int, int, int]], seconds: float | None
) -> bool:
    """Perform all ``operations`` (number, change, flags) on a semaphore set at once, or none.

    Blocks for at most ``seconds`` (None: without limit). Returns True when done, False when the
    time passed, when IPC_NOWAIT would have blocked, or when a signal came (semop(2) is never
    restarted). Raises ``OSError``: EIDRM or EINVAL when the set is gone, EACCES, EFBIG, ERANGE.
    """
    return timed_semop(semid, operations, seconds)()


def timed_semop(
    semid: int, operations: Sequence[tuple[int, int, int]], seconds: float | None
) -> Callable[[], bool]:
    """Return a function that does :func:`semtimedop` with these arguments, made once."""
    count = len(operations)
    array = (_Sembuf * count)(*(_Sembuf(*operation) for operation in operations))
    limit = None
    if seconds is not None:
        whole, part = divmod(int(max(0.0, seconds) * _NANOSECONDS), _NANOSECONDS)
        limit = ctypes.pointer(_Timespec(whole, part))
    call = _libc.semtimedop

    def perform() -> bool:
        if call(semid, array, count, limit) == 0:
            return True
        number = ctypes.get_errno()
        if number in (errno.EAGAIN, errno.EINTR):
            return False
        raise OSError(number, os.strerror(number))

    return perform


def set_title(title: str) -> None:
    """Show ``title`` as this process's name and command line in ps(1) and top(1).

    The command line is written over in place, as far as there is room (proc(5): arg_start).
    """
    line = command_line()
    text = title.encode()
    line.raw = text[: len(line) - 1].ljust(len(line), b"\0")
    # Not by way of /proc/self/comm: it is closed to who has changed its user (proc(5)).
    name = ctypes.create_string_buffer(text[:15])
    _libc.prctl(_PR_SET_NAME, ctypes.addressof(name), 0, 0, 0)


@functools.cache
def command_line() -> ctypes.Array[ctypes.c_char]:
    """Return the memory that holds this process's command line; a launcher asks before it forks."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    return (ctypes.c_char * (end - start)).from_address(start)


def prctl_adopt_orphans(adopt: bool = True) -> bool:
    """Have descendants whose parents have ended become this process's children (prctl(2)).

    Or no more, without ``adopt``. Returns whether it was so before.
    """
    before = ctypes.c_int()
    asked = _libc.prctl(_PR_GET_CHILD_SUBREAPER, ctypes.addressof(before), 0, 0, 0)
    if asked != 0 or _libc.prctl(_PR_SET_CHILD_SUBREAPER, int(adopt), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return bool(before.value)


def prctl_dumpable(allowed: bool) -> None:
    """Say whether others of the same user may look into this process (prctl(2), ptrace(2)).

    Where they may not, what /proc shows of it belongs to root. exec sets it back.
    """
    if _libc.prctl(_PR_SET_DUMPABLE, int(allowed), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def prctl_die_with_parent(signal: int, parent: int) -> None:
    """Have the kernel send ``signal`` to this process when its parent ends (prctl(2)).

    ``parent`` is its pid, taken before the fork: where it has ended already the kernel would say
    nothing any more, and the signal is sent here and now. Raises ``OSError``.
    """
    if _libc.prctl(_PR_SET_PDEATHSIG, signal, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    if os.getppid() != parent:
        os.kill(os.getpid(), signal)
