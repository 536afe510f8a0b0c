"""Calls of the C library on one fixed address, as cheap as Python can make them.

A call that never blocks goes through ``ctypes.PyDLL``, which keeps the interpreter's lock; its
arguments are made once; and what it answers is looked up in a dictionary, so that the usual answer,
0, costs no Python code at all.
"""

from __future__ import annotations

import ctypes
import functools
import time
from collections.abc import Callable
from typing import Any

from common.errors import MachineError

# What a call is given where C asks for an address.
Pointer = Any
# A call that needs no more arguments; ``func`` is the function of the C library.
Bare = functools.partial[Any]

_CLOCK_MONOTONIC = 1
_NANOSECONDS = 1_000_000_000
_quick = ctypes.PyDLL(None)
_quick_errno = ctypes.PyDLL(None, use_errno=True)
_blocking = ctypes.CDLL(None, use_errno=True)


class Busy(Exception):
    """The call would have to wait."""


class Timespec(ctypes.Structure):
    """``struct timespec`` (clock_gettime(2))."""

    _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))


class _Answers(dict[int, None]):
    """What a call answers: nothing for 0; for anything else ``otherwise`` is asked."""

    def __init__(self, otherwise: Callable[[int], object]) -> None:
        super().__init__({0: None})
        self._otherwise = otherwise

    def __missing__(self, answer: int) -> object:
        return self._otherwise(answer)


class _Closed:
    """The argument that nobody can give (ctypes asks before it calls)."""

    @classmethod
    def from_param(cls, _value: object) -> object:
        raise ValueError("its memory was closed")


def pointer(address: int) -> Pointer:
    """Return ``address`` as the argument that ctypes passes on fastest."""
    return ctypes.byref(ctypes.c_char.from_address(address))


def address_of(memory: memoryview) -> int:
    """Return where a writable view begins; it may be released afterwards as if nobody had asked."""
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


def bare(
    function: str, *arguments: Any, otherwise: Callable[[int], object], errno: bool = False
) -> Bare:
    """Return ``function`` with its arguments; it must not block.

    It returns None where C returns 0; else what ``otherwise`` returns for C's answer, or raises
    what that raises. With ``errno`` ``ctypes.get_errno`` tells why an answer was -1. The arguments
    are passed as they are: an int as a C int, an address as :func:`pointer`.
    """
    call = _function(_quick_errno if errno else _quick, function)
    # Not errcheck, which would run Python code after each call.
    call.restype = _Answers(otherwise).__getitem__
    return functools.partial(call, *arguments)


def forbid(*calls: Bare | Timed) -> None:
    """Make every later use of ``calls`` an error (``ctypes.ArgumentError``): no crash."""
    for call in calls:
        function: Any = call.func
        function.argtypes = (_Closed,)


class Timed:
    """A blocking ``function(*pointers, clockid, abstime)`` of glibc, in CLOCK_MONOTONIC.

    Called with how long it may block (s); returns 0 or the error number, ETIMEDOUT among them.
    Raises ``MachineError`` when the C library has no such function.
    """

    def __init__(self, function: str, *pointers: Pointer) -> None:
        self.func = _function(_blocking, function)
        self._until = Timespec()
        self._arguments = (*pointers, _CLOCK_MONOTONIC, ctypes.byref(self._until))

    def __call__(self, seconds: float) -> int:
        """Call it."""
        until = time.monotonic_ns() + int(seconds * _NANOSECONDS)
        self._until.tv_sec, self._until.tv_nsec = divmod(until, _NANOSECONDS)
        answer: int = self.func(*self._arguments)
        return ctypes.get_errno() if answer == -1 else answer


def _function(library: ctypes.CDLL, name: str) -> Any:
    try:
        # By index: a function object of its own, whose answers are nobody else's.
        return library[name]
    except AttributeError:
        raise MachineError(f"the C library has no {name}", "glibc 2.30 or later has it") from None
