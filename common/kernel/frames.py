"""Frames of one size on descriptors: written whole, read whole, by as many processes as there are.

Writes of up to PIPE_BUF bytes to a pipe are atomic, and so is a read of one frame from a pipe that
holds whole frames only (pipe(7)); a packet socket keeps the boundaries by itself (unix(7)). The
descriptors are in non-blocking mode: who must wait does so in poll(2), a tick at a time.
"""

from __future__ import annotations

import errno
import operator
import os
import select
import struct
from collections.abc import Callable, Iterator

from common.errors import KernelObjectError, ObjectVanished
from common.kernel.channels import Window
from common.kernel.touch import Touch
from common.kernel.waits import Wait

# Stands for a descriptor that is opened when it is first needed.
NOT_OPEN = -1
# A write that nobody will read: into a pipe or a connected socket; into a datagram socket, and once
# more after that (ENOTCONN: the first has undone the connection).
_NOBODY = (errno.EPIPE, errno.ECONNRESET, errno.ECONNREFUSED, errno.ENOTCONN)


class Writer:
    """The end that sends, one descriptor for each priority, the most urgent first.

    ``open_late`` opens the descriptor of a level that is ``NOT_OPEN``; it may block. ``gone`` says
    why nobody will read any more.
    """

    window: Window | None = None

    def __init__(
        self,
        fds: list[int],
        size: int,
        wait: Wait,
        what: str,
        *,
        open_late: Callable[[int], int] | None = None,
        gone: str = "its last reader closed it or died",
    ) -> None:
        self._fds = fds
        # Every message has this size.
        self.exact = self._size = size
        self._wait = wait
        self._what = what
        self._open_late = open_late
        self._gone = gone
        self.sending = Touch(changes=(what,), ready=self._has_room)
        self.receiving = Touch(changes=(what,))
        self.send = self._sender()

    def _sender(self) -> Callable[..., None]:
        # Closures: nothing is looked up where there is room.
        fds, size, normal, write = self._fds, self._size, len(self._fds) - 1, os.write

        def send_plain(message: bytes, priority: int = 0) -> None:
            if len(message) != size:
                raise self._odd(message)
            try:
                done = write(fds[0], message)
            except OSError:
                self._send_when_room(message, 0)
            else:
                if done != size:
                    self._complain_of_part(done)

        def send(message: bytes, priority: int = 0) -> None:
            if len(message) != size:
                raise self._odd(message)
            level = min(max(normal - priority, 0), normal) if priority else normal
            try:
                done = write(fds[level], message)
            except OSError:
                self._send_when_room(message, level)
            else:
                if done != size:
                    self._complain_of_part(done)

        return send if normal else send_plain

    def receive(self) -> bytes | None:
        """Refuse: this end only sends."""
        raise KernelObjectError(f"{self._what} was opened to send, not to receive")

    def abandon(self) -> None:
        """Nothing is held."""

    def restart(self) -> None:
        """Do nothing: nothing is received ahead."""

    def close(self) -> None:
        """Close the descriptors."""
        close_all(self._fds)

    def _has_room(self) -> bool:
        room = select.poll()
        for fd in self._fds:
            if fd == NOT_OPEN:
                # The first send opens it, once there is a reader.
                return True
            room.register(fd, select.POLLOUT)
        return len(room.poll(0)) == len(self._fds)

    def _send_when_room(self, message: bytes, level: int) -> None:
        if self._fds[level] == NOT_OPEN and self._open_late is not None:
            self._fds[level] = self._open_late(level)
        fd = self._fds[level]
        os.sched_yield()  # one turn for the other side costs less than to sleep and be woken
        if self._written(fd, message):
            return
        poll = select.poll()
        poll.register(fd, select.POLLOUT)
        with self._wait.standing(f"room in {self._what}") as deadline:
            while not self._written(fd, message):
                poll.poll(deadline.tick() * 1000)

    def _written(self, fd: int, message: bytes) -> bool:
        try:
            done = os.write(fd, message)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in _NOBODY:
                raise KernelObjectError(
                    f"nobody reads {self._what} any more: {self._gone}"
                ) from error
            raise KernelObjectError(f"{self._what}: {error}") from error
        if done != len(message):
            self._complain_of_part(done)
        return True

    def _odd(self, message: bytes) -> KernelObjectError:
        return KernelObjectError(
            f"{self._what} takes messages of exactly {self._size} bytes, not {len(message)}"
        )

    def _complain_of_part(self, done: int) -> None:
        raise KernelObjectError(
            f"{self._what}: the kernel took {done} bytes of a message of {self._size}"
        )


class Reader:
    """The end that receives: from the first descriptor that has a frame, the most urgent first.

    Up to ``frames`` are read at once and kept for the next calls. At the end of the stream, when
    everybody who could write has closed it, there is nothing more to come, and ``receive`` returns
    None as it does when told to finish. ``cut_short`` counts the records of which only a part came,
    behind which nothing stood: they are dropped. What stands behind a part is shifted by it, and
    only its contents can tell.
    """

    window: Window | None = None

    def __init__(self, fds: list[int], size: int, wait: Wait, what: str, frames: int = 1) -> None:
        self.cut_short = 0
        self._fds = fds
        self._size = size
        self._wait = wait
        self._what = what
        self._ask = frames * size
        self._frame = struct.Struct(f"{size}s")
        self._ahead: Iterator[tuple[bytes]] = iter(())
        self._poll = select.poll()
        for fd in fds:
            self._poll.register(fd, select.POLLIN)
        self.sending = Touch(changes=(what,))
        self.receiving = Touch(changes=(what,), ready=self._has_any)
        self.receive = self._one_by_one() if self._ask == size and len(fds) == 1 else self._next

    def _one_by_one(self) -> Callable[[], bytes | None]:
        # A closure: nothing is looked up where there is a frame.
        fd, size, read = self._fds[0], self._size, os.read

        def receive() -> bytes | None:
            try:
                data = read(fd, size)
            except BlockingIOError:
                return self._receive_when_any()
            return data if len(data) == size else self._taken(data)

        return receive

    def send(self, message: bytes, priority: int = 0) -> None:
        """Refuse: this end only receives."""
        raise KernelObjectError(f"{self._what} was opened to receive, not to send")

    def _next(self) -> bytes | None:
        for (message,) in self._ahead:
            return message
        for fd in self._fds:
            try:
                data = os.read(fd, self._ask)
            except BlockingIOError:
                continue
            return data if len(data) == self._size else self._taken(data)
        return self._receive_when_any()

    def abandon(self) -> None:
        """Nothing is held."""

    def restart(self) -> None:
        """Forget the frames that were read ahead."""
        self._ahead = iter(())

    def close(self) -> None:
        """Close the descriptors."""
        close_all(self._fds)

    def _has_any(self) -> bool:
        return bool(operator.length_hint(self._ahead) or self._poll.poll(0)) or self._wait.finishing

    def _receive_when_any(self) -> bytes | None:
        os.sched_yield()
        found, message = self._look(0)
        if found:
            return message
        with self._wait.standing(f"a message in {self._what}") as deadline:
            while True:
                # Told to finish means that nothing more will be sent: then one look is enough.
                finishing = self._wait.finishing
                found, message = self._look(0 if finishing else deadline.tick())
                if found or finishing:
                    return message

    def _look(self, seconds: float) -> tuple[bool, bytes | None]:
        """Return whether there was a frame, or the end of the stream (None), and the frame."""
        # poll keeps the order of registration: the most urgent first.
        for fd, _events in self._poll.poll(seconds * 1000):
            try:
                data = os.read(fd, self._ask)
            except BlockingIOError:
                continue  # another receiver was faster
            message = self._split(data)
            if message is not None or not data:
                return True, message
        return False, None

    def _taken(self, data: bytes) -> bytes | None:
        """Return the first frame of ``data``, or of what comes; None at the end of the stream."""
        message = self._split(data)
        return self._receive_when_any() if message is None and data else message

    def _split(self, data: bytes) -> bytes | None:
        """Return the first frame of ``data`` and keep the others; None where there is none."""
        part = len(data) % self._size
        if part:
            # A read gets less than it asks for only where nothing stands behind: the next record
            # begins with the next read.
            self.cut_short += 1
            data = data[:-part]
        self._ahead = self._frame.iter_unpack(data)
        return next(self._ahead, (None,))[0]


def duplicate(fd: int, inode: int, what: str) -> int:
    """Return an own duplicate of a descriptor that this process inherited.

    Raises ``ObjectVanished`` when it is closed, or is something else by now: its number may have
    been given away again. ``inode`` is that of the object behind it.
    """
    try:
        if os.fstat(fd).st_ino == inode:
            return os.dup(fd)
    except OSError as error:
        raise ObjectVanished(
            f"{what}: descriptor {fd} is not open here: {error.strerror}"
        ) from None
    raise ObjectVanished(f"{what}: descriptor {fd} is not the one that was inherited")


def drain(fd: int) -> None:
    """Read away whatever stands in a non-blocking descriptor."""
    try:
        while os.read(fd, 1 << 16):
            pass
    except BlockingIOError:
        return


def close_all(fds: list[int]) -> None:
    """Close descriptors, but those that are ``NOT_OPEN``."""
    while fds:
        fd = fds.pop()
        if fd != NOT_OPEN:
            os.close(fd)
