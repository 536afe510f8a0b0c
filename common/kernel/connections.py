"""The two ends of a channel of connections: each sender has one, and who accepts it serves it.

A sender connects when it first sends, so that whoever stands in line has sent something. A receiver
looks at all its connections in turn, and at the line of those that nobody has accepted yet.

Whoever serves a sender may die. Then the sender connects anew: to another receiver, or to the line
that the launcher keeps open as long as one may be started in its place. What was in the connection
is lost; only the message that is being sent is sent again, of which nobody has received a part.
"""

from __future__ import annotations

import contextlib
import errno
import operator
import os
import select
import socket
import time
from collections.abc import Callable, Iterator

from common.errors import KernelObjectError, MachineError, PeerLost
from common.kernel import sockets
from common.kernel.channels import Touch, Window
from common.kernel.sockets import CLOSED
from common.kernel.waits import Deadline, Wait

# Seconds before a sender that was left twice for one message connects again.
_FIRST_PAUSE = 0.001


class Sender:
    """A sender's connection; the kind's own class adds ``send``. ``fd`` is CLOSED without one.

    ``DROPS_PARTS``: a receiver drops a message of which it got a part only, so that a message that
    was begun may be sent again.
    """

    DROPS_PARTS = True
    window: Window | None = None

    def __init__(self, dial: Callable[[], socket.socket], wait: Wait, what: str) -> None:
        self.fd = CLOSED
        self._dial = dial
        self._wait = wait
        self._what = what
        self._line: socket.socket | None = None
        # Whether the last message was cut when its connection ended.
        self._begun = False
        self.sending = Touch(changes=(what,), ready=self._has_room)
        self.receiving = Touch(changes=(what,))

    def receive(self) -> bytes | None:
        """Raise ``KernelObjectError``: connections are used one way."""
        raise KernelObjectError(f"{self._what} was opened to send")

    def put(self, data: bytes, sent: int) -> None:
        """Send ``data`` from ``sent`` on, connecting and waiting as long as it takes.

        Whoever is left by its receiver sends it from the beginning to another one that listens.
        Raises ``WaitExpired``, ``ObjectVanished``, ``KernelObjectError`` and, when nobody listens,
        ``PeerLost``.
        """
        if self._line is not None:
            os.sched_yield()  # one turn for the other side costs less than to sleep
            try:
                return self._send_all(data, sent)
            except PeerLost:
                if self._begun and not self.DROPS_PARTS:
                    raise
        deadline, pause = None, _FIRST_PAUSE
        while True:
            self._line = self._dial()
            self.fd = self._line.fileno()
            try:
                return self._send_all(data, 0)
            except PeerLost:
                if self._begun and not self.DROPS_PARTS:
                    raise
                deadline = deadline or Deadline(f"a receiver of {self._what}", self._wait.seconds)
                # Back-off: nobody tells when a receiver comes that stays.
                time.sleep(min(pause, deadline.tick()))
                pause *= 2

    def _send_all(self, data: bytes, sent: int) -> None:
        try:
            sent += self._some(data, sent)
            if sent == len(data):
                return
            poll = select.poll()
            poll.register(self.fd, select.POLLOUT)
            with self._wait.standing(f"room in {self._what}", begun=sent > 0) as deadline:
                while sent < len(data):
                    poll.poll(deadline.tick() * 1000)
                    sent += self._some(data, sent)
        finally:
            self._begun = 0 < sent < len(data)
            if self._begun:
                # What came next would be taken for the rest of it.
                self._hang_up()

    def _some(self, data: bytes, sent: int) -> int:
        try:
            return os.write(self.fd, memoryview(data)[sent:])
        except BlockingIOError:
            return 0
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                self._hang_up()
            raise sockets.failed(error, self._what, len(data)) from None

    def _has_room(self) -> bool:
        if self.fd == CLOSED:
            return True
        room = select.poll()
        room.register(self.fd, select.POLLOUT)
        return bool(room.poll(0))

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
        self._line, self.fd = None, CLOSED

    def abandon(self) -> None:
        """Nothing is held: a message is sent whole, or its connection was closed."""

    def restart(self) -> None:
        """Let the connection go: the receivers have dropped it."""
        self._hang_up()

    def close(self) -> None:
        """Say that nothing more will come, also to copies that a fork made, and close."""
        if self._line is not None:
            with contextlib.suppress(OSError):  # the receiver may have gone
                self._line.shutdown(socket.SHUT_WR)
        self._hang_up()


class Receiver:
    """A receiver's connections; the kind's own class adds ``_take``.

    ``lingers``: what was sent may still be on its way when its sender has ended, so that who is
    told to finish waits for the end of each connection. ``cut_short`` counts the connections that
    ended, or were dropped, in the middle of a message.
    """

    window: Window | None = None

    def __init__(self, listener: socket.socket, wait: Wait, what: str, *, lingers: bool) -> None:
        self.cut_short = 0
        self._listener = listener
        self._wait = wait
        self._what = what
        self._lingers = lingers
        self._lines: dict[int, socket.socket] = {}
        # What was read with an earlier message: one-tuples, as struct gives them.
        self._ahead: Iterator[tuple[bytes]] = iter(())
        # Found readable by the last poll, and not yet looked at.
        self._turns: list[int] = []
        self._silent = False
        self._poll = select.poll()
        self._poll.register(listener.fileno(), select.POLLIN)
        self.sending = Touch(changes=(what,))
        self.receiving = Touch(changes=(what,), ready=self._has_any)

    def send(self, message: bytes, priority: int = 0) -> None:
        """Raise ``KernelObjectError``: connections are used one way."""
        raise KernelObjectError(f"{self._what} was opened to receive")

    def receive(self) -> bytes | None:
        """Return the next message; None when told to finish and every connection is empty."""
        for (message,) in self._ahead:
            return message
        return self._more()

    def _take(self, fd: int) -> bytes | None:
        """Read from a connection that is readable; returns a message, if there is a whole one."""
        raise NotImplementedError

    def _more(self) -> bytes | None:
        message = self._look(0)
        if message is None:
            os.sched_yield()
            message = self._look(0)
        if message is not None:
            return message
        with self._wait.standing(f"a message in {self._what}") as deadline:
            while True:
                finishing = self._wait.finishing
                message = self._look(self._patience(finishing, deadline))
                if message is not None:
                    return message
                # Told to finish means that every sender has ended.
                if finishing and self._silent and not (self._lingers and self._expected()):
                    return None

    def _patience(self, finishing: bool, deadline: Deadline) -> float:
        return 0 if finishing and not self._lingers else deadline.tick()

    def _expected(self) -> bool:
        """Tell whether a connection is open of which more may come."""
        return bool(self._lines)

    def _look(self, seconds: float) -> bytes | None:
        """Take a message from whoever is ready within ``seconds``; each is looked at in turn."""
        if not self._turns:
            self._turns = [fd for fd, _events in self._poll.poll(seconds * 1000)]
            self._silent = not self._turns
        while self._turns:
            fd = self._turns.pop()
            if fd == self._listener.fileno():
                fd = self._accepted()
            if fd in self._lines:
                message = self._take(fd)
                if message is not None:
                    return message
        return None

    def _accepted(self) -> int:
        """Accept the next in line; CLOSED when another receiver was faster."""
        try:
            line, _name = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return CLOSED
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                raise MachineError(
                    f"{self._what}: no descriptor is left for another sender ({error.strerror})",
                    "ulimit -n",
                ) from None
            raise KernelObjectError(f"{self._what}: {error.strerror}") from None
        line.setblocking(False)
        self._lines[line.fileno()] = line
        self._poll.register(line.fileno(), select.POLLIN)
        return line.fileno()

    def _drop(self, fd: int) -> None:
        self._poll.unregister(fd)
        self._lines.pop(fd).close()

    def _has_any(self) -> bool:
        if operator.length_hint(self._ahead) or self._wait.finishing:
            return True
        # At its end a connection is readable too, and has nothing.
        return any(
            fd not in self._lines or self._lines[fd].recv(1, socket.MSG_PEEK)
            for fd, _events in self._poll.poll(0)
        )

    def abandon(self) -> None:
        """Nothing is held."""

    def restart(self) -> None:
        """Drop every connection with what was read from it; senders connect anew."""
        for fd in list(self._lines):
            self._drop(fd)
        self._turns = []
        self._ahead = iter(())

    def close(self) -> None:
        """Close the connections and the duplicate of the listening socket."""
        self.restart()
        self._listener.close()
