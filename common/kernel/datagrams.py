"""The two ends of a channel of datagrams: one bound socket that all its receivers share.

``token``, where there is one, stands in front of each datagram; others are dropped. A call blocks
for a tick at most (SO_RCVTIMEO, SO_SNDTIMEO): nearly every wait is over by then, and only a longer
one is published and timed.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable

from common.kernel import sockets
from common.kernel.channels import Touch, Window
from common.kernel.waits import TICK, Wait


class Datagrams:
    """One process's end; ``opened`` is connected to send, or the bound socket to receive.

    ``strangers`` counts the datagrams that were dropped: without the token, or longer than the
    channel's messages. ``late``: what was sent may still be on its way when its sender has ended.
    """

    window: Window | None = None

    def __init__(
        self,
        opened: socket.socket,
        size: int,
        wait: Wait,
        what: str,
        token: bytes = b"",
        *,
        late: bool = False,
    ) -> None:
        self.strangers = 0
        self._opened = opened
        self._size = size
        self._wait = wait
        self._what = what
        self._token = token
        self._late = late
        self._room, self._any = select.poll(), select.poll()
        # A connected datagram socket has room when its peer's queue has (unix(7)).
        self._room.register(opened.fileno(), select.POLLOUT)
        self._any.register(opened.fileno(), select.POLLIN)
        self.sending = Touch(changes=(what,), ready=lambda: bool(self._room.poll(0)))
        self.receiving = Touch(
            changes=(what,), ready=lambda: wait.finishing or bool(self._any.poll(0))
        )
        self.send, self.receive = self._send, self._receive
        if wait.seconds > 10 * TICK and not wait.refuses_full:
            sockets.block_for_a_tick(opened)
            self.send, self.receive = self._calls()

    def _calls(self) -> tuple[Callable[..., None], Callable[[], bytes | None]]:
        # Closures: next to nothing is looked up where there is room, or a message.
        fd, size, token, wait = self._opened.fileno(), self._size, self._token, self._wait
        what = self._what
        write, read, send_slowly, receive_slowly = os.write, os.read, self._send, self._receive
        first = len(token)
        ask = first + size + 1

        def send(message: bytes, priority: int = 0) -> None:
            if len(message) > size:
                send_slowly(message)
            try:
                write(fd, token + message)
            except BlockingIOError:
                send_slowly(message)
            except OSError as error:
                # Told once only: to ask again would find nothing wrong.
                raise sockets.failed(error, what, len(message)) from None

        def receive() -> bytes | None:
            if wait.finishing:
                return receive_slowly()
            try:
                data = read(fd, ask)
            except OSError:
                return receive_slowly()
            if len(data) == ask or data[:first] != token:
                self.strangers += 1
                return receive_slowly()
            return data[first:]

        return send, receive

    def _send(self, message: bytes, priority: int = 0) -> None:
        if len(message) > self._size:
            raise sockets.too_long(self._what, self._size, len(message))
        data = self._token + message
        try:
            if self._sent(data):
                return
            with self._wait.standing(f"room in {self._what}") as deadline:
                while not self._sent(data):
                    self._room.poll(deadline.tick() * 1000)
        except OSError as error:
            raise sockets.failed(error, self._what, len(data)) from None

    def _sent(self, data: bytes) -> bool:
        try:
            self._opened.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        return True

    def _receive(self) -> bytes | None:
        message = self._look()
        if message is not None:
            return message
        with self._wait.standing(f"a message in {self._what}") as deadline:
            while True:
                # Told to finish means that nothing more will be sent: then one look is enough,
                # and where it may be on its way, one that lasts a tick.
                finishing = self._wait.finishing
                seconds = deadline.tick() if self._late or not finishing else 0
                found = self._any.poll(seconds * 1000)
                message = self._look()
                if message is not None or (finishing and not found):
                    return message

    def _look(self) -> bytes | None:
        first = len(self._token)
        # One byte more than there may be: what is longer would be cut without a word.
        ask = first + self._size + 1
        while True:
            try:
                data = self._opened.recv(ask, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return None
            if len(data) < ask and data[:first] == self._token:
                return data[first:]
            self.strangers += 1

    def abandon(self) -> None:
        """Nothing is held."""

    def restart(self) -> None:
        """Do nothing: nothing is received ahead."""

    def close(self) -> None:
        """Close the descriptor."""
        self._opened.close()
