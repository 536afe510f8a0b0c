"""The System V calls as they are: the packages hide ids, flags, errors and some fields.

Every function raises ``OSError`` with the errno of the call that its name or docstring says
(sysvipc(7)); a signal that interrupts a blocked call raises ``InterruptedError``. semop(2) is
``common.kernel.libc.semtimedop``.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Sequence
from typing import NamedTuple

IPC_PRIVATE = 0
IPC_CREAT, IPC_EXCL, IPC_NOWAIT = 0o1000, 0o2000, 0o4000
IPC_RMID, IPC_SET, IPC_STAT = 0, 1, 2
MSG_NOERROR, MSG_EXCEPT = 0o10000, 0o20000
SHM_RDONLY = 0o10000
GETPID, GETVAL, GETALL, GETNCNT, GETZCNT, SETVAL, SETALL = range(11, 18)


class _Perm(ctypes.Structure):
    # struct ipc_perm of 64-bit Linux; the mode is its low 16 bits in every version of glibc.
    _fields_ = (
        ("key", ctypes.c_int),
        ("uid", ctypes.c_uint),
        ("gid", ctypes.c_uint),
        ("cuid", ctypes.c_uint),
        ("cgid", ctypes.c_uint),
        ("mode", ctypes.c_ushort),
        ("_mode_high", ctypes.c_ushort),
        ("seq", ctypes.c_ushort),
        ("_reserved", ctypes.c_ulong * 2),
    )


class _Msqid(ctypes.Structure):
    _fields_ = (
        ("perm", _Perm),
        ("stime", ctypes.c_long),
        ("rtime", ctypes.c_long),
        ("ctime", ctypes.c_long),
        ("cbytes", ctypes.c_ulong),
        ("qnum", ctypes.c_ulong),
        ("qbytes", ctypes.c_ulong),
        ("lspid", ctypes.c_int),
        ("lrpid", ctypes.c_int),
        ("_reserved", ctypes.c_ulong * 2),
    )


class _Shmid(ctypes.Structure):
    _fields_ = (
        ("perm", _Perm),
        ("segsz", ctypes.c_size_t),
        ("atime", ctypes.c_long),
        ("dtime", ctypes.c_long),
        ("ctime", ctypes.c_long),
        ("cpid", ctypes.c_int),
        ("lpid", ctypes.c_int),
        ("nattch", ctypes.c_ulong),
        ("_reserved", ctypes.c_ulong * 2),
    )


# x86 keeps a reserved word after each time of a semaphore set, other machines do not.
_GAP = 1 if platform.machine() in ("x86_64", "AMD64") else 0


class _Semid(ctypes.Structure):
    _fields_ = (
        ("perm", _Perm),
        ("otime", ctypes.c_long),
        ("_reserved1", ctypes.c_ulong * _GAP),
        ("ctime", ctypes.c_long),
        ("_reserved2", ctypes.c_ulong * _GAP),
        ("nsems", ctypes.c_ulong),
        ("_reserved3", ctypes.c_ulong * 2),
    )


class Owner(NamedTuple):
    """Key, owner, creator and permission bits of an object (struct ipc_perm).

    ``flags`` are the bits of the mode above the permissions: SHM_DEST (0o1000) of a segment.
    """

    key: int
    uid: int
    gid: int
    cuid: int
    cgid: int
    mode: int
    flags: int


class QueueStatus(NamedTuple):
    """What IPC_STAT says of a message queue (msgctl(2)): bytes, and times in whole seconds."""

    owner: Owner
    qnum: int
    cbytes: int
    qbytes: int
    lspid: int
    lrpid: int
    stime: int
    rtime: int
    ctime: int


class SegmentStatus(NamedTuple):
    """What IPC_STAT says of a shared memory segment (shmctl(2))."""

    owner: Owner
    segsz: int
    nattch: int
    cpid: int
    lpid: int
    atime: int
    dtime: int
    ctime: int


class SetStatus(NamedTuple):
    """What IPC_STAT says of a semaphore set (semctl(2))."""

    owner: Owner
    nsems: int
    otime: int
    ctime: int


_int, _size, _long, _pointer = ctypes.c_int, ctypes.c_size_t, ctypes.c_long, ctypes.c_void_p
_libc = ctypes.CDLL(None, use_errno=True)
_libc.ftok.argtypes = (ctypes.c_char_p, _int)
_libc.msgget.argtypes = (_int, _int)
_libc.msgsnd.argtypes = (_int, _pointer, _size, _int)
_libc.msgrcv.argtypes = (_int, _pointer, _size, _long, _int)
_libc.msgrcv.restype = ctypes.c_ssize_t
_libc.msgctl.argtypes = (_int, _int, _pointer)
_libc.shmget.argtypes = (_int, _size, _int)
_libc.shmat.argtypes = (_int, _pointer, _int)
_libc.shmat.restype = _pointer
_libc.shmdt.argtypes = (_pointer,)
_libc.shmctl.argtypes = (_int, _int, _pointer)
_libc.semget.argtypes = (_int, _int, _int)
# The fourth, a union of an int and pointers, travels like an unsigned long.
_libc.semctl.argtypes = (_int, _int, _int, ctypes.c_ulong)

# A message begins with its type, a long.
_TYPE = struct.calcsize("@l")
_FAILED_SHMAT = ctypes.c_void_p(-1).value


def ftok(path: str | os.PathLike[str], project: int) -> int:
    """Make a key from an existing file and the low 8 bits of ``project``.

    Unlike ``sysv_ipc.ftok``, ftok(3) is an ``OSError`` here where there is no such file.
    """
    return _checked(_libc.ftok(os.fsencode(path), project))


def msgget(key: int, flags: int = 0) -> int:
    """Return the id of the queue ``key``; ``flags`` are IPC_CREAT, IPC_EXCL and a mode."""
    return _checked(_libc.msgget(key, flags))


def msgsnd(queue: int, type: int, data: bytes, flags: int = 0) -> None:
    """Send ``data`` as a message of ``type``; blocks while the queue is full (msgsnd(2))."""
    buffer = ctypes.create_string_buffer(struct.pack("@l", type) + data)
    _checked(_libc.msgsnd(queue, buffer, len(data), flags))


def msgrcv(queue: int, size: int, type: int = 0, flags: int = 0) -> tuple[int, bytes]:
    """Return type and data (at most ``size`` bytes) of a message; blocks while there is none."""
    buffer = ctypes.create_string_buffer(_TYPE + size)
    got = _checked(_libc.msgrcv(queue, buffer, size, type, flags))
    found: int = struct.unpack_from("@l", buffer)[0]
    return found, buffer.raw[_TYPE : _TYPE + got]


def msg_remove(queue: int) -> None:
    """Remove a queue and its messages, waking who is blocked in it (msgctl(2), IPC_RMID)."""
    _checked(_libc.msgctl(queue, IPC_RMID, None))


def msg_stat(queue: int) -> QueueStatus:
    """Return the state of a queue (msgctl(2), IPC_STAT)."""
    s = _msqid(queue)
    return QueueStatus(
        _owner(s.perm), s.qnum, s.cbytes, s.qbytes, s.lspid, s.lrpid, s.stime, s.rtime, s.ctime
    )


def msg_set(queue: int, qbytes: int | None = None, mode: int | None = None) -> None:
    """Set a queue's capacity (bytes) and mode; None leaves it as it is (msgctl(2), IPC_SET)."""
    status = _msqid(queue)
    if qbytes is not None:
        status.qbytes = qbytes
    if mode is not None:
        status.perm.mode = mode
    _checked(_libc.msgctl(queue, IPC_SET, ctypes.byref(status)))


def shmget(key: int, size: int, flags: int = 0) -> int:
    """Return the id of the segment ``key`` of at least ``size`` bytes (shmget(2))."""
    return _checked(_libc.shmget(key, size, flags))


def shmat(segment: int, flags: int = 0, address: int | None = None) -> int:
    """Attach a segment and return its address (shmat(2)); see :func:`memory`."""
    found: int = _libc.shmat(segment, address, flags)
    if found == _FAILED_SHMAT:
        _fail()
    return found


def memory(address: int, size: int) -> memoryview:
    """Return ``size`` bytes at an attached ``address``; not to be used after :func:`shmdt`."""
    return memoryview((ctypes.c_char * size).from_address(address)).cast("B")


def shmdt(address: int) -> None:
    """Detach the segment at ``address`` (shmdt(2))."""
    _checked(_libc.shmdt(address))


def shm_remove(segment: int) -> None:
    """Mark a segment to be destroyed when nobody has it attached (shmctl(2), IPC_RMID)."""
    _checked(_libc.shmctl(segment, IPC_RMID, None))


def shm_stat(segment: int) -> SegmentStatus:
    """Return the state of a segment (shmctl(2), IPC_STAT)."""
    s = _Shmid()
    _checked(_libc.shmctl(segment, IPC_STAT, ctypes.byref(s)))
    return SegmentStatus(
        _owner(s.perm), s.segsz, s.nattch, s.cpid, s.lpid, s.atime, s.dtime, s.ctime
    )


def semget(key: int, count: int, flags: int = 0) -> int:
    """Return the id of the set ``key`` of ``count`` semaphores (semget(2))."""
    return _checked(_libc.semget(key, count, flags))


def semctl(semid: int, number: int, command: int, value: int = 0) -> int:
    """Perform GETVAL, SETVAL, GETPID, GETNCNT, GETZCNT or IPC_RMID; returns what it says."""
    return _checked(_libc.semctl(semid, number, command, value))


def sem_values(semid: int) -> list[int]:
    """Return the values of all semaphores of a set (semctl(2), GETALL)."""
    values = (ctypes.c_ushort * sem_stat(semid).nsems)()
    _checked(_libc.semctl(semid, 0, GETALL, ctypes.addressof(values)))
    return list(values)


def sem_set_values(semid: int, values: Sequence[int]) -> None:
    """Set all semaphores of a set, one value each (semctl(2), SETALL)."""
    if len(values) != sem_stat(semid).nsems:
        raise ValueError(f"{len(values)} values for {sem_stat(semid).nsems} semaphores")
    array = (ctypes.c_ushort * len(values))(*values)
    _checked(_libc.semctl(semid, 0, SETALL, ctypes.addressof(array)))


def sem_stat(semid: int) -> SetStatus:
    """Return the state of a set (semctl(2), IPC_STAT); ``otime`` is 0 before the first semop."""
    s = _Semid()
    _checked(_libc.semctl(semid, 0, IPC_STAT, ctypes.addressof(s)))
    return SetStatus(_owner(s.perm), s.nsems, s.otime, s.ctime)


def _msqid(queue: int) -> _Msqid:
    status = _Msqid()
    _checked(_libc.msgctl(queue, IPC_STAT, ctypes.byref(status)))
    return status


def _owner(perm: _Perm) -> Owner:
    mode, flags = perm.mode & 0o777, perm.mode & ~0o777
    return Owner(perm.key, perm.uid, perm.gid, perm.cuid, perm.cgid, mode, flags)


def _checked(result: int) -> int:
    return _fail() if result == -1 else result


def _fail() -> int:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number))
