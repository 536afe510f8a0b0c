"""POSIX message queues with every errno, as mq_overview(7) describes them.

The package posix_ipc turns most errors into exceptions without a number, and opens no queue without
reading or writing. Every function raises ``OSError`` with the errno of its manual page.
"""

from __future__ import annotations

import ctypes
import os
import time
from typing import NamedTuple

PRIORITY_MAX = 32768
_SIGEV_SIGNAL, _SIGEV_NONE = 0, 1
_NANOSECONDS = 1_000_000_000


class Attributes(NamedTuple):
    """What mq_getattr(3) says: 0 or O_NONBLOCK; messages at most; bytes of each; messages now."""

    flags: int
    maxmsg: int
    msgsize: int
    curmsgs: int


class _Attr(ctypes.Structure):
    _fields_ = (*((name, ctypes.c_long) for name in Attributes._fields), ("_", ctypes.c_long * 4))


class _Timespec(ctypes.Structure):
    _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))


class _Sigevent(ctypes.Structure):
    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signo", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("_reserved", ctypes.c_byte * 48),
    )


# Before glibc 2.34 the queues were in a library of their own.
_libc = ctypes.CDLL(None if hasattr(ctypes.CDLL(None), "mq_open") else "librt.so.1", use_errno=True)
_int, _text = ctypes.c_int, ctypes.c_char_p
_libc.mq_open.argtypes = (_text, _int, ctypes.c_uint, ctypes.POINTER(_Attr))
_libc.mq_close.argtypes = (_int,)
_libc.mq_unlink.argtypes = (_text,)
_libc.mq_getattr.argtypes = (_int, ctypes.POINTER(_Attr))
_libc.mq_setattr.argtypes = (_int, ctypes.POINTER(_Attr), ctypes.POINTER(_Attr))
_libc.mq_notify.argtypes = (_int, ctypes.POINTER(_Sigevent))
_SENDING = (_int, _text, ctypes.c_size_t, ctypes.c_uint)
_libc.mq_send.argtypes = _SENDING
_libc.mq_timedsend.argtypes = (*_SENDING, ctypes.POINTER(_Timespec))
_RECEIVING = (_int, _text, ctypes.c_size_t, ctypes.POINTER(ctypes.c_uint))
_libc.mq_receive.argtypes = _RECEIVING
_libc.mq_receive.restype = ctypes.c_ssize_t
_libc.mq_timedreceive.argtypes = (*_RECEIVING, ctypes.POINTER(_Timespec))
_libc.mq_timedreceive.restype = ctypes.c_ssize_t


def mq_open(
    name: str, flags: int, mode: int = 0o600, maxmsg: int | None = None, msgsize: int = 64
) -> int:
    """Open, or with O_CREAT make, the queue ``name``; returns its descriptor (mq_open(3)).

    ``maxmsg`` (messages) and ``msgsize`` (bytes) are a new one's; without ``maxmsg`` the system's.
    """
    attributes = None
    if maxmsg is not None:
        attributes = ctypes.byref(_Attr(maxmsg=maxmsg, msgsize=msgsize))
    return _checked(_libc.mq_open(name.encode(), flags, mode, attributes))


def mq_close(queue: int) -> None:
    """Close a descriptor of a queue; its registration for notification ends (mq_close(3))."""
    _checked(_libc.mq_close(queue))


def mq_unlink(name: str) -> None:
    """Take a queue's name away; the queue ends when nobody has it open (mq_unlink(3))."""
    _checked(_libc.mq_unlink(name.encode()))


def mq_getattr(queue: int) -> Attributes:
    """Return the attributes of a queue (mq_getattr(3))."""
    found = _Attr()
    _checked(_libc.mq_getattr(queue, ctypes.byref(found)))
    return _attributes(found)


def mq_setattr(queue: int, flags: int, maxmsg: int = 0, msgsize: int = 0) -> Attributes:
    """Set the flags, of which only O_NONBLOCK counts; returns what was before (mq_setattr(3)).

    The other two are handed over as they are: the kernel takes no notice of them.
    """
    before = _Attr()
    wanted = _Attr(flags=flags, maxmsg=maxmsg, msgsize=msgsize)
    _checked(_libc.mq_setattr(queue, ctypes.byref(wanted), ctypes.byref(before)))
    return _attributes(before)


def mq_send(queue: int, data: bytes, priority: int = 0, seconds: float | None = None) -> None:
    """Send a message; blocks while the queue is full, at most ``seconds`` (mq_timedsend(3))."""
    if seconds is None:
        _checked(_libc.mq_send(queue, data, len(data), priority))
    else:
        _checked(_libc.mq_timedsend(queue, data, len(data), priority, _until(seconds)))


def mq_receive(queue: int, size: int, seconds: float | None = None) -> tuple[bytes, int]:
    """Return a message and its priority, into a buffer of ``size`` bytes (mq_timedreceive(3)).

    Blocks while the queue is empty, at most ``seconds``.
    """
    buffer = ctypes.create_string_buffer(max(1, size))
    priority = ctypes.c_uint()
    where = (queue, buffer, size, ctypes.byref(priority))
    if seconds is None:
        got = _checked(_libc.mq_receive(*where))
    else:
        got = _checked(_libc.mq_timedreceive(*where, _until(seconds)))
    return buffer.raw[:got], priority.value


def mq_notify(queue: int, signal: int | None) -> None:
    """Ask for ``signal`` at the next message into the empty queue; None removes (mq_notify(3)).

    ``signal`` 0 registers this process without a signal: nobody else can, and nothing comes.
    """
    if signal is None:
        _checked(_libc.mq_notify(queue, None))
        return
    kind = _SIGEV_SIGNAL if signal else _SIGEV_NONE
    _checked(_libc.mq_notify(queue, ctypes.byref(_Sigevent(signo=signal, notify=kind))))


def _until(seconds: float) -> ctypes._Pointer[_Timespec]:
    # These calls take a time of the wall clock, not a duration.
    end = time.clock_gettime_ns(time.CLOCK_REALTIME) + int(seconds * _NANOSECONDS)
    whole, part = divmod(end, _NANOSECONDS)
    return ctypes.pointer(_Timespec(whole, part))


def _attributes(found: _Attr) -> Attributes:
    return Attributes(found.flags, found.maxmsg, found.msgsize, found.curmsgs)


def _checked(result: int) -> int:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
