"""One line of progress on a terminal's standard error; nothing elsewhere."""

from __future__ import annotations

import sys
import time


class Progress:
    """A line that is written over: what runs, how much is done."""

    def __init__(self, enabled: bool) -> None:
        self._enabled = enabled and sys.stderr.isatty()
        self._done: dict[str, int] = {}
        self._label = ""
        self._shown = 0.0

    def start(self, label: str) -> None:
        """Begin a run called ``label``."""
        self._label = label
        self._done.clear()
        self._show()

    def __call__(self, event: str, **facts: object) -> None:
        """Take an event of the run; ``progress`` and ``judging`` events move the line."""
        if event == "judging" and time.monotonic() - self._shown > 0.1:
            self._show(f", judging {facts['what']} ({facts['done']} of {facts['of']})")
        if event == "progress" and isinstance(facts.get("done"), int):
            self._done[str(facts["process"])] = int(str(facts["done"]))
            if time.monotonic() - self._shown > 0.1:
                self._show()

    def clear(self) -> None:
        """Take the line away."""
        if self._enabled:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _show(self, more: str = "") -> None:
        if self._enabled:
            self._shown = time.monotonic()
            done = sum(self._done.values())
            told = (f": {done:,} operations" if done else "") + more
            sys.stderr.write(f"\r\x1b[K{self._label}{told}")
            sys.stderr.flush()
