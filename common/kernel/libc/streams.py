"""popen(3): a command at the other end of a pipe, as the C library starts it."""

from __future__ import annotations

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)
_libc.popen.argtypes = (ctypes.c_char_p, ctypes.c_char_p)
_libc.popen.restype = ctypes.c_void_p
_libc.fileno.argtypes = (ctypes.c_void_p,)
_libc.pclose.argtypes = (ctypes.c_void_p,)


class Stream:
    """A ``FILE *`` of popen(3); Python's own ``os.popen`` never calls it.

    ``mode`` is "r" to read the command's standard output, "w" to write its standard input. Raises
    ``OSError``: EINVAL for another mode, EMFILE, ENOMEM.
    """

    def __init__(self, command: str, mode: str) -> None:
        self._file = _libc.popen(command.encode(), mode.encode())
        if not self._file:
            raise _last_error()
        self.fd: int = _libc.fileno(self._file)

    def read(self) -> bytes:
        """Return all that the command writes, up to its end-of-file."""
        said = b""
        while piece := os.read(self.fd, 1 << 16):
            said += piece
        return said

    def close(self) -> int:
        """Close the pipe and wait for the command; its exit status, or minus its signal.

        Raises ``OSError`` (ECHILD) when somebody else has waited for it.
        """
        status: int = _libc.pclose(self._file)
        if status == -1:
            raise _last_error()
        return os.waitstatus_to_exitcode(status)


def _last_error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
