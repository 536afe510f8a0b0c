"""Reports: what a process tells the launcher, one JSON object a SOCK_SEQPACKET record.

Types: ``join`` (a guest asks to take part), ``ready``, ``progress`` (``done``), ``full`` (it does
not wait, and found no room in ``channel``), ``fault`` (it stands at a step where one is due),
``summary`` (the role's result), ``left`` (a schedule sent it away), ``error`` (``kind``,
``message``). The launcher answers a ``join`` with a ``job`` and a ``fault`` with ``go_on``, and
says ``closing`` when the run ends (unix(7), SO_PEERCRED).
"""

from __future__ import annotations

import json
import math
import socket
import struct
from typing import Any

from common.errors import MachineError, ProcessError

LARGEST = 64 * 1024
LONGEST = 500
MOST = 1000
# No count, price or time of a run comes near; a greater one has no place in a double.
LARGEST_NUMBER = 1 << 63


class Reporter:
    """A process's end of the report socket."""

    def __init__(self, path: str) -> None:
        """Connect; raises ``ProcessError`` when the launcher is gone."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        try:
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            raise ProcessError(f"nobody listens at {path}: {error.strerror}") from None

    def send(self, kind: str, /, **facts: Any) -> None:
        """Send one report; a launcher that is gone is not an error, its children die with it."""
        message = encode({"type": kind, **facts})
        try:
            self._socket.send(message, socket.MSG_NOSIGNAL)
        except (BrokenPipeError, ConnectionResetError):
            return

    def fileno(self) -> int:
        """Return the connection's descriptor."""
        return self._socket.fileno()

    def receive(self, seconds: float) -> dict[str, Any] | None:
        """Return the launcher's next message, ``closing`` when it is gone; None when none came."""
        self._socket.settimeout(seconds)
        try:
            message = self._socket.recv(LARGEST)
            return decode(message) if message else {"type": "closing"}
        except (TimeoutError, BlockingIOError, ConnectionResetError):
            return None
        finally:
            self._socket.settimeout(None)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


def listen(path: str, backlog: int) -> socket.socket:
    """Return a listening report socket at ``path``; raises ``MachineError``."""
    listener = socket.socket(
        socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    )
    try:
        listener.bind(path)
    except OSError as error:
        listener.close()
        raise MachineError(f"cannot listen at {path}: {error.strerror}") from None
    listener.listen(backlog)
    return listener


def peer(connection: socket.socket) -> tuple[int, int]:
    """Return pid and uid of the process at the other end, as the kernel knows them."""
    size = struct.calcsize("iII")
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    pid, uid, _gid = struct.unpack("iII", credentials)
    return pid, uid


def encode(report: dict[str, Any]) -> bytes:
    """Return one report as one record."""
    return json.dumps(report).encode()


def decode(message: bytes) -> dict[str, Any] | None:
    """Return one report, or None for anything that is not one."""
    try:
        report = json.loads(message)
    except (ValueError, RecursionError):
        return None
    return report if isinstance(report, dict) and isinstance(report.get("type"), str) else None


def harmless(text: object) -> str:
    """Return a text of somebody else's as one line that a terminal cannot be told by."""
    return str(text)[:LONGEST].encode("unicode_escape").decode()


def bounded(summary: dict[str, Any], depth: int = 2) -> dict[str, Any]:
    """Return a summary of somebody else's with its numbers finite and its texts harmless."""

    def kept(value: Any) -> Any:
        if isinstance(value, dict):
            return bounded(value, depth - 1) if depth else {}
        if isinstance(value, list):
            return [kept(one) for one in value[:MOST]]
        if isinstance(value, str):
            return harmless(value)
        if isinstance(value, int) and abs(value) > LARGEST_NUMBER:
            return None
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return {harmless(key): kept(value) for key, value in list(summary.items())[:MOST]}
