"""One line of progress on a terminal's standard error; nothing elsewhere."""

from __future__ import annotations

import sys
import time

# Seconds from one writing of the line to the next, and for which a judgement needs no line.
PERIOD = 0.1
SHORT = 1.0


class Progress:
    """A line that is written over: what runs, how much is done; how far a long judgement is.

    Without ``running`` only the judgement is told: something else already tells of the run.
    """

    def __init__(self, running: bool) -> None:
        self._terminal = sys.stderr.isatty()
        self._running = running
        self._done: dict[str, int] = {}
        self._label = ""
        self._shown = 0.0
        self._judging: float | None = None

    def start(self, label: str) -> None:
        """Begin a run called ``label``."""
        self._label = label
        self._done.clear()
        self._judging = None
        if self._running:
            self._show()

    def __call__(self, event: str, **facts: object) -> None:
        """Take an event of the run; ``progress`` and ``judging`` events move the line."""
        if event == "judging":
            now = time.monotonic()
            self._judging = self._judging or now
            if now - self._judging > SHORT and now - self._shown > PERIOD:
                self._show(f", judging {facts['what']} ({facts['done']} of {facts['of']})")
        if event == "progress" and isinstance(facts.get("done"), int):
            self._done[str(facts["process"])] = int(str(facts["done"]))
            if self._running and time.monotonic() - self._shown > PERIOD:
                self._show()

    def clear(self) -> None:
        """Take the line away, if there is one."""
        if self._shown:
            self._shown = 0.0
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _show(self, more: str = "") -> None:
        if self._terminal:
            self._shown = time.monotonic()
            done = sum(self._done.values())
            told = (f": {done:,} operations" if done else "") + more
            sys.stderr.write(f"\r\x1b[K{self._label}{told}")
            sys.stderr.flush()
