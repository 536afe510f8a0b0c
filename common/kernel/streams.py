"""Messages on a byte stream: each behind its length, so that they are whole however they arrive.

A stream has no boundaries (the lecture: "Hello", "Hello", "How about an answer?" may be received as
"Hell", "oHelloHow", " about an answer?"). A limit on the length does not mark an end; a length in
front does.
"""

from __future__ import annotations

import os
import select
import socket
import struct
from collections.abc import Callable

from common.errors import PeerLost
from common.kernel import sockets
from common.kernel.connections import Receiver, Sender
from common.kernel.waits import Wait

_LENGTH = struct.Struct("<I")
LONGEST = (1 << 32) - 1
LONGEST_LINE = 4096
# Read at once, in whole frames where they are small.
_CHUNK = 1 << 16


def fits(message_size: int) -> str:
    """Return why a length of four bytes does not do for such messages ("" when it does)."""
    if message_size > LONGEST:
        return f"a message of {message_size} bytes is over {LONGEST}, what four bytes can count"
    return ""


def read_line(connected: socket.socket, wait: Wait, what: str) -> bytes:
    """Return the line that the other end says first; raises ``WaitExpired`` and ``PeerLost``."""
    line = b""
    poll = select.poll()
    poll.register(connected, select.POLLIN)
    with wait.standing(f"a line from {what}") as deadline:
        while not line.endswith(b"\n"):
            if not poll.poll(deadline.tick() * 1000):
                continue
            # A byte at a time: what comes behind the line is not ours to read.
            byte = connected.recv(1)
            if not byte or len(line) >= LONGEST_LINE:
                raise PeerLost(f"who serves {what} said no line")
            line += byte
    return line


class FramedSender(Sender):
    """Sends each message behind its length."""

    def __init__(self, dial: Callable[[], socket.socket], size: int, wait: Wait, what: str) -> None:
        super().__init__(dial, wait, what)
        self.send = self._call(size)

    def _call(self, size: int) -> Callable[..., None]:
        # A closure: only the descriptor is looked up, since it changes with the connection.
        write, put, what, pack, head = os.write, self.put, self._what, _LENGTH.pack, b""
        head = pack(size)

        def send(message: bytes, priority: int = 0) -> None:
            length = len(message)
            if length == size:
                frame = head + message
            elif length < size:
                frame = pack(length) + message
            else:
                raise sockets.too_long(what, size, length)
            try:
                sent = write(self.fd, frame)
            except OSError:
                # Not connected, no room, or nobody there: put finds out.
                sent = 0
            if sent != length + 4:
                put(frame, sent)

        return send


class FramedReceiver(Receiver):
    """Receives whole messages; ``token`` is what a caller must show before anything else."""

    def __init__(
        self, listener: socket.socket, size: int, wait: Wait, what: str, token: bytes = b""
    ) -> None:
        super().__init__(listener, wait, what, lingers=bool(token))
        # Connections that were dropped because they did not show the token.
        self.strangers = 0
        self._token = token
        self._known: set[int] = set()
        self._rest: dict[int, bytes] = {}
        self._size = size
        self._frame = frame = size + _LENGTH.size
        self._head = _LENGTH.pack(size)
        self._bodies = struct.Struct(f"{_LENGTH.size}x{size}s")
        self._ask = max(1, _CHUNK // frame) * frame

    def _expected(self) -> bool:
        return bool(self._known)

    def _take(self, fd: int) -> bytes | None:
        try:
            data = os.read(fd, self._ask)
        except BlockingIOError:
            return None
        except ConnectionError:
            data = b""
        whole = self._rest.pop(fd, b"") + data
        if not data:
            self.cut_short += bool(whole)
            self._drop(fd)
            return None
        if self._token and fd not in self._known:
            token, whole = whole[: len(self._token)], whole[len(self._token) :]
            if token != self._token[: len(token)]:
                self.strangers += 1
                self._drop(fd)
                return None
            if len(token) < len(self._token):
                self._rest[fd] = token
                return None
            self._known.add(fd)
        self._split(fd, whole)
        return next(self._ahead, (None,))[0]

    def _split(self, fd: int, data: bytes) -> None:
        """Set the whole messages of ``data`` ahead, and keep what is left for its connection."""
        count = len(data) // self._frame
        end = count * self._frame
        uniform = all(
            data[n : end : self._frame] == self._head[n : n + 1] * count
            for n in range(_LENGTH.size)
        )
        if uniform and end + _LENGTH.size + _length(data, end) > len(data):
            # All of full size: their lengths stand where they must, one behind another.
            self._ahead = self._bodies.iter_unpack(memoryview(data)[:end])
        else:
            end, messages = self._one_by_one(data)
            self._ahead = iter(messages)
        if end < len(data):
            self._rest[fd] = data[end:]
            if _length(data, end) > self._size:
                # Not ours: where its next message begins cannot be told.
                self.cut_short += 1
                self._drop(fd)

    def _one_by_one(self, data: bytes) -> tuple[int, list[tuple[bytes]]]:
        messages = []
        at = 0
        while at + _LENGTH.size <= len(data):
            begin = at + _LENGTH.size
            end = begin + _length(data, at)
            if end > len(data) or end - begin > self._size:
                break
            messages.append((data[begin:end],))
            at = end
        return at, messages

    def _drop(self, fd: int) -> None:
        super()._drop(fd)
        self._rest.pop(fd, None)
        self._known.discard(fd)


def _length(data: bytes, at: int) -> int:
    # 0 for a length of which not all has come.
    return _LENGTH.unpack_from(data, at)[0] if at + _LENGTH.size <= len(data) else 0
