"""A named pipe (FIFO): a stream of frames of one size, in which each write of a frame is whole.

Writes of up to PIPE_BUF bytes are atomic (pipe(7)), and so is a read of one frame, so that many
may write and many may read. The lecture: all clients write into the server's FIFO, the server
answers into each client's own. With priorities there is one FIFO for each.
"""

from __future__ import annotations

import errno
import operator
import os
import select
import stat
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.errors import KernelObjectError, NotPermitted, ObjectVanished, WaitExpired
from common.kernel.channels import At, Facts, Touch, Window
from common.kernel.locks import Address
from common.kernel.waits import Wait
from common.options import option

if TYPE_CHECKING:
    from common.kernel.objects import Maker

# Whether who has it open is told of its removal: a FIFO lives on without its name.
TELLS_REMOVAL = False

# The objects of a limited number that one channel makes.
OBJECTS: dict[str, int] = {}

_NOT_OPEN = -1

# The kernel synchronises: there is nothing here for a lock to guard.
GUARDED = False


@dataclass(frozen=True)
class Options:
    """How many priorities the channel tells apart, and whether a receiver reads ahead."""

    priorities: int = option(
        1, about="how many priorities are told apart, one FIFO for each", minimum=1, maximum=16
    )
    batch: bool = option(
        False, about="read many frames at once: faster, for a channel that one process receives"
    )


def facts(options: Options) -> Facts:
    """Return how it behaves (fifo(7), pipe(7))."""
    return Facts(
        bounded=True,
        boundaries=True,
        many_senders=True,
        many_receivers=True,
        kept=True,
        order="as sent; with priorities the most urgent FIFO first",
        waiting="sleeps in poll(2)",
        limits="records of up to PIPE_BUF = 4096 bytes stay whole; 65536 bytes in all (pipe(7))",
        persists="its name until it is unlinked, its contents until nobody has it open",
        named="a path",
        sender_dies="a whole record or nothing, up to PIPE_BUF",
    )


def check(options: Options, message_size: int) -> str:
    """Return why messages of ``message_size`` bytes do not fit ("" when they do)."""
    if message_size > select.PIPE_BUF:
        return (
            f"a message of {message_size} bytes is over PIPE_BUF = {select.PIPE_BUF}: "
            "records of several writers would be mixed"
        )
    if options.batch and options.priorities > 1:
        return "batch reads ahead of more urgent messages: it goes with one priority only"
    return ""


def make(options: Options, message_size: int, lock: Address, maker: Maker) -> dict[str, Any]:
    """Create the FIFOs, the most urgent first."""
    paths = [maker.fifo("channel") for _ in range(options.priorities)]
    return {"paths": paths, "message_size": message_size, "batch": options.batch}


def attach(address: Address, mode: str, wait: Wait, what: str, at: At | None = None) -> Fifo:
    """Open one end; never blocks. Raises ``ObjectVanished`` when its path is gone.

    A sender that comes before any receiver gets its end when it first sends. Raises
    ``NotPermitted`` and ``KernelObjectError`` for a path that is not ours or not a FIFO.
    """
    return Fifo(address, mode, wait, what)


def reset(address: Address) -> None:
    """Read away whatever stands in the FIFOs."""
    for path in address["paths"]:
        fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            while os.read(fd, 1 << 16):
                pass
        except BlockingIOError:
            pass
        finally:
            os.close(fd)


class Fifo:
    """One process's end of the channel."""

    window: Window | None = None

    def __init__(self, address: Address, mode: str, wait: Wait, what: str) -> None:
        self._wait = wait
        self._what = what
        self._size: int = address["message_size"]
        # Up to PIPE_BUF bytes, which is what the kernel keeps in one page.
        frames = select.PIPE_BUF // self._size if address["batch"] else 1
        self._ask = frames * self._size
        self._frame = struct.Struct(f"{self._size}s")
        self._ahead: Iterator[tuple[bytes]] = iter(())
        self._paths: list[str] = address["paths"]
        self._normal = len(self._paths) - 1
        self._poll = select.poll()
        self._fds: list[int] = []
        self.sending = Touch(changes=(what,), ready=self._has_room)
        self.receiving = Touch(changes=(what,), ready=self._has_any)
        if mode == "send":
            self._fds = [self._open(path, os.O_WRONLY) for path in self._paths]
        else:
            for path in self._paths:
                # Read and write (fifo(7)): a reader that is itself a writer never sees
                # end-of-file between two writers, which would wake it again and again.
                self._fds.append(self._open(path, os.O_RDWR))
                self._poll.register(self._fds[-1], select.POLLIN)

    def send(self, message: bytes, priority: int = 0) -> None:
        """Send one message of exactly the channel's size.

        A priority outside the range counts as the nearest inside it. Raises ``KernelObjectError``
        at once when the last reader has gone, and at the deadline when none ever came.
        """
        if len(message) != self._size:
            raise KernelObjectError(
                f"{self._what} takes messages of exactly {self._size} bytes, not {len(message)}"
            )
        level = min(max(self._normal - priority, 0), self._normal) if priority else self._normal
        try:
            os.write(self._fds[level], message)
        except OSError:
            self._send_when_room(message, level)

    def receive(self) -> bytes | None:
        """Return the next message: the oldest of the most urgent.

        Raises ``KernelObjectError`` for a record cut short by its writer.
        """
        for (message,) in self._ahead:
            return message
        for fd in self._fds:
            try:
                data = os.read(fd, self._ask)
            except BlockingIOError:
                continue
            return data if len(data) == self._size else self._split(data)
        return self._receive_when_any()

    def _has_room(self) -> bool:
        room = select.poll()
        for fd in self._fds:
            if fd == _NOT_OPEN:
                # The first send opens it, once there is a reader.
                return True
            room.register(fd, select.POLLOUT)
        return len(room.poll(0)) == len(self._fds)

    def _has_any(self) -> bool:
        return bool(operator.length_hint(self._ahead) or self._poll.poll(0)) or self._wait.finishing

    def abandon(self) -> None:
        """Nothing is held."""

    def restart(self) -> None:
        """Forget the frames that were read ahead."""
        self._ahead = iter(())

    def close(self) -> None:
        """Close the descriptors."""
        for fd in self._fds:
            if fd != _NOT_OPEN:
                os.close(fd)
        self._fds = []

    def _send_when_room(self, message: bytes, level: int) -> None:
        if self._fds[level] == _NOT_OPEN:
            self._wait_for_reader(level)
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
            os.write(fd, message)  # whole or not at all: it is not longer than PIPE_BUF
        except BlockingIOError:
            return False
        except BrokenPipeError as error:
            raise KernelObjectError(
                f"nobody reads {self._what} any more: its last reader closed it or died"
            ) from error
        return True

    def _receive_when_any(self) -> bytes | None:
        os.sched_yield()
        message = self._look(0)
        if message is not None:
            return message
        with self._wait.standing(f"a message in {self._what}") as deadline:
            while True:
                # Told to finish means that nothing more will be sent: then one look is enough.
                finishing = self._wait.finishing
                message = self._look(0 if finishing else deadline.tick())
                if message is not None or finishing:
                    return message

    def _look(self, seconds: float) -> bytes | None:
        # poll keeps the order of registration: the most urgent first.
        for fd, _events in self._poll.poll(seconds * 1000):
            try:
                return self._split(os.read(fd, self._ask))
            except BlockingIOError:
                continue  # another receiver was faster
        return None

    def _split(self, data: bytes) -> bytes:
        """Return the first frame of ``data`` and keep the others for the next calls."""
        if len(data) % self._size:
            raise KernelObjectError(
                f"{self._what}: a record of {len(data) % self._size} bytes, not {self._size}",
                "its writer is not ours, or was killed in a write of more than PIPE_BUF bytes",
            )
        self._ahead = self._frame.iter_unpack(data)
        return next(self._ahead)[0]

    def _wait_for_reader(self, level: int) -> None:
        path = self._paths[level]
        pause = 0.001
        with self._wait.standing(f"a reader of {self._what}") as deadline:
            while (fd := self._open(path, os.O_WRONLY)) == _NOT_OPEN:
                try:
                    left = deadline.tick()
                except WaitExpired as error:
                    raise KernelObjectError(
                        f"nobody opened {self._what} for reading within {deadline.seconds:g} s"
                    ) from error
                # A pause, not synchronisation: a FIFO without a reader gives nothing to poll, and a
                # blocking open knows no deadline, since os.open goes on after a signal.
                time.sleep(min(pause, left))
                pause *= 2
        self._fds[level] = fd

    def _open(self, path: str, access: int) -> int:
        """Open without waiting; _NOT_OPEN when a write end finds no reader (ENXIO)."""
        try:
            fd = os.open(path, access | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError as error:
            raise ObjectVanished(f"the FIFO of {self._what} was removed: {path}") from error
        except PermissionError as error:
            raise NotPermitted(f"the FIFO of {self._what} may not be opened: {path}") from error
        except OSError as error:
            if error.errno == errno.ENXIO:
                return _NOT_OPEN
            raise KernelObjectError(f"{self._what}: {error}") from error
        if not stat.S_ISFIFO(os.fstat(fd).st_mode):
            os.close(fd)
            raise KernelObjectError(f"{path}, where {self._what} should be, is not a FIFO")
        return fd
