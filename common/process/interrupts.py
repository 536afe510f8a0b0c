"""The launcher's own signals, made readable: the first asks to finish, the second to stop now."""

from __future__ import annotations

import selectors
import signal
import socket
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Interrupts:
    """While entered, SIGNALS only count, and wake the selector: SIGQUIT leaves no core either.

    ``received`` is the first of them or None, ``count`` how many came.
    """

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._before: dict[int, Any] = {}
        self.received: int | None = None
        self.count = 0

    def __enter__(self) -> Interrupts:
        self._reading, self._writing = socket.socketpair()
        self._reading.setblocking(False)
        self._writing.setblocking(False)
        self._selector.register(self._reading, selectors.EVENT_READ, self._drain)
        self._wakeup = signal.set_wakeup_fd(self._writing.fileno(), warn_on_full_buffer=False)
        for number in SIGNALS:
            self._before[number] = signal.signal(number, self._count)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        self._selector.unregister(self._reading)
        self._reading.close()
        self._writing.close()

    def _count(self, number: int, _frame: FrameType | None) -> None:
        self.received = self.received or number
        self.count += 1

    def _drain(self) -> None:
        try:
            while self._reading.recv(64):
                pass
        except BlockingIOError:
            return
