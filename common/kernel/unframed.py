"""Both ends of a pipe without frames: each write is one message, and a read gets what is there.

As the lecture's programs use a FIFO: ``read(fd, buf, 512)`` returns what one write left, or what
several did that came before it.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from common.kernel import sockets
from common.kernel.frames import Reader, Writer


class UnframedWriter(Writer):
    """Sends messages of up to the channel's size, each by one write(2)."""

    def _sender(self) -> Callable[..., None]:
        fds, most, write = self._fds, self._size, os.write
        # Shorter ones are whole, too.
        self.exact = 0

        def send(message: bytes, priority: int = 0) -> None:
            if len(message) > most:
                raise sockets.too_long(self._what, most, len(message))
            try:
                done = write(fds[0], message)
            except OSError:
                self._send_when_room(message, 0)
            else:
                if done != len(message):
                    self._complain_of_part(done)

        return send


class UnframedReader(Reader):
    """Receives what one read(2) gets, up to the channel's size."""

    def _split(self, data: bytes) -> bytes | None:
        return data or None
