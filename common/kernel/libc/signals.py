"""Signals: what Python's signal module leaves out (values, masks of handlers, sigsuspend).

A handler set here runs where the kernel calls it, in the middle of a system call of this module, of
``os.kill`` or of ``signal.raise_signal``; Python's own handlers run later, one after the other in
the order of their numbers. Keep its signal blocked everywhere else: it must not come while the
interpreter is in the middle of something.
"""

from __future__ import annotations

import ctypes
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

# Flags of sigaction(2), the same on every architecture but MIPS, SPARC, Alpha and PA-RISC.
SA_SIGINFO = 0x4
SA_RESTART = 0x10000000
SA_NODEFER = 0x40000000
SA_RESETHAND = 0x80000000
# Where a signal came from, si_code of sigaction(2).
SI_USER, SI_KERNEL, SI_QUEUE, SI_TKILL = 0, 0x80, -1, -6
_PR_SET_DUMPABLE = 4
_SET_BYTES = 128


class _Value(ctypes.Union):
    _fields_ = (("sival_int", ctypes.c_int), ("sival_ptr", ctypes.c_void_p))


class _Sender(ctypes.Structure):
    _fields_ = (("si_pid", ctypes.c_int), ("si_uid", ctypes.c_uint), ("si_value", _Value))


class _Fields(ctypes.Union):
    # The pad makes it at least as large as siginfo_t, which has 128 bytes.
    _fields_ = (("sender", _Sender), ("pad", ctypes.c_int * 29))


class _Siginfo(ctypes.Structure):
    _fields_ = (
        ("si_signo", ctypes.c_int),
        ("si_errno", ctypes.c_int),
        ("si_code", ctypes.c_int),
        ("fields", _Fields),
    )


_Set = ctypes.c_ulong * (_SET_BYTES // ctypes.sizeof(ctypes.c_ulong))
_Handler = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.POINTER(_Siginfo), ctypes.c_void_p)


class _Sigaction(ctypes.Structure):
    _fields_ = (
        ("sa_handler", ctypes.c_void_p),
        ("sa_mask", _Set),
        ("sa_flags", ctypes.c_int),
        ("sa_restorer", ctypes.c_void_p),
    )


class _Timespec(ctypes.Structure):
    _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))


_libc = ctypes.CDLL(None, use_errno=True)
# A union of an int and a pointer is passed as the pointer is.
_libc.sigqueue.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
_libc.sigaction.argtypes = (
    ctypes.c_int,
    ctypes.POINTER(_Sigaction),
    ctypes.POINTER(_Sigaction),
)
_libc.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
_libc.signal.restype = ctypes.c_ssize_t
_libc.sigprocmask.argtypes = (ctypes.c_int, ctypes.POINTER(_Set), ctypes.POINTER(_Set))
_libc.sigsuspend.argtypes = (ctypes.POINTER(_Set),)
_libc.sigtimedwait.argtypes = (
    ctypes.POINTER(_Set),
    ctypes.POINTER(_Siginfo),
    ctypes.POINTER(_Timespec),
)
_libc.read.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)
_libc.read.restype = ctypes.c_ssize_t
_libc.prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)

# The kernel keeps the addresses of these: they must live as long as the process.
_installed: list[object] = []


class Info(NamedTuple):
    """What came with a signal (siginfo_t): its number, why and from whom, and its value.

    ``address`` is where it lies: for a handler, in the frame that the kernel pushed on the stack.
    """

    number: int
    code: int
    pid: int
    uid: int
    value: int
    address: int


class SignalSet:
    """A set of signals, made by the functions of sigsetops(3); ``OSError`` EINVAL for no signal."""

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        """Empty it (sigemptyset), and add ``numbers``."""
        self.bits = _Set()
        _check(_libc.sigemptyset(self.bits))
        for number in numbers:
            self.add(number)

    def fill(self) -> SignalSet:
        """Add every signal (sigfillset); returns the set itself."""
        _check(_libc.sigfillset(self.bits))
        return self

    def add(self, number: int) -> None:
        """Add one (sigaddset)."""
        _check(_libc.sigaddset(self.bits, number))

    def delete(self, number: int) -> None:
        """Take one out (sigdelset)."""
        _check(_libc.sigdelset(self.bits, number))

    def __contains__(self, number: int) -> bool:
        return bool(_libc.sigismember(self.bits, number) == 1)

    def __iter__(self) -> Iterator[int]:
        return (number for number in range(1, _SET_BYTES * 8 + 1) if number in self)


def sigaction(
    number: int,
    handler: Callable[[Info], object] | int,
    mask: SignalSet | None = None,
    flags: int = 0,
) -> None:
    """Set what ``number`` does (sigaction(2)): a handler, or 0 (SIG_DFL), or 1 (SIG_IGN).

    ``mask`` is blocked while the handler runs, besides the signal itself; ``flags`` are SA_….
    Raises ``OSError`` EINVAL for SIGKILL, SIGSTOP and what is no signal.
    """
    action = _Sigaction(sa_flags=flags)
    if mask is not None:
        action.sa_mask = mask.bits
    if isinstance(handler, int):
        action.sa_handler = int(handler)
    else:
        action.sa_handler = _address(handler)
        action.sa_flags |= SA_SIGINFO
    _check(_libc.sigaction(number, ctypes.byref(action), None))


def c_signal(number: int, handler: int) -> None:
    """Set what ``number`` does as a C program does, by signal(3).

    ``handler`` is 0 (SIG_DFL), 1 (SIG_IGN), or the address of one (:func:`do_nothing`).
    """
    _check(_libc.signal(number, handler))


def do_nothing() -> int:
    """Return the address of a handler that returns at once (its argument is what it ignores)."""
    return _address(lambda _: None)


def flags(number: int) -> int:
    """Return the SA_ flags with which the handler of ``number`` is set, as a number of 32 bits."""
    action = _Sigaction()
    _check(_libc.sigaction(number, None, ctypes.byref(action)))
    return int(action.sa_flags) & 0xFFFFFFFF


def sigprocmask(how: int, signals: SignalSet) -> None:
    """Change the mask of blocked signals (sigprocmask(2)); ``how`` is SIG_BLOCK and the like.

    Handlers of signals that become free run before it returns.
    """
    _check(_libc.sigprocmask(how, signals.bits, None))


def sigsuspend(mask: SignalSet) -> None:
    """Block ``mask`` instead of the present one, and sleep until a handler ran (sigsuspend(2)).

    Both in one step: no signal can come between them. The old mask is back when it returns.
    """
    _libc.sigsuspend(mask.bits)


def sigtimedwait(signals: SignalSet, seconds: float) -> Info | None:
    """Take a pending signal of ``signals``, all of which are blocked; None after ``seconds``."""
    info = _Siginfo()
    part, whole = math.modf(seconds)
    limit = _Timespec(int(whole), int(part * 1e9))
    if _libc.sigtimedwait(signals.bits, ctypes.byref(info), ctypes.byref(limit)) == -1:
        return None
    return _info(info)


def sigqueue(pid: int, number: int, value: int) -> None:
    """Send ``number`` and an int with it (sigqueue(3)); raises ``OSError`` EAGAIN at the limit."""
    union = bytes(_Value(sival_int=value))
    _check(_libc.sigqueue(pid, number, int.from_bytes(union, sys.byteorder)))


def read_once(fd: int, size: int) -> bytes:
    """Read as read(2) does: ``InterruptedError`` where Python would begin again."""
    buffer = ctypes.create_string_buffer(size)
    got = _check(_libc.read(fd, buffer, size))
    return buffer.raw[:got]


def dump_no_core() -> None:
    """Let no signal write a core dump of this process, whatever core_pattern says (prctl(2))."""
    _check(_libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0))


def _address(handler: Callable[[Info], object]) -> int:
    def called(number: int, info: ctypes._Pointer[_Siginfo], context: int) -> None:
        handler(_info(info.contents))

    function = _Handler(called)
    _installed.append(function)
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address is not None
    return address


def _info(raw: _Siginfo) -> Info:
    sender = raw.fields.sender
    return Info(
        raw.si_signo, raw.si_code, sender.si_pid, sender.si_uid, sender.si_value.sival_int,
        ctypes.addressof(raw),
    )  # fmt: skip


def _check(result: int) -> int:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
