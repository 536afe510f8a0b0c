"""Where the live table is drawn: a terminal's second screen, so that the first stays as it was."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Sequence

ENTER, LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
HOME, TO_END_OF_LINE, BELOW = "\x1b[H", "\x1b[K", "\x1b[J"

# What a terminal is taken for that does not tell its size (columns, lines).
USUAL = (80, 24)


def drawable() -> bool:
    """Return whether standard error is a terminal that can move its cursor."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


class Screen:
    """Standard error as a screen; entered at the first frame, left by ``close``."""

    def __init__(self) -> None:
        self._fd = sys.stderr.fileno()
        self._entered = False
        self._gone = False

    def size(self) -> tuple[int, int]:
        """Return columns and lines."""
        try:
            columns, lines = os.get_terminal_size(self._fd)
        except OSError:
            return USUAL
        return columns or USUAL[0], lines or USUAL[1]

    def ready(self) -> bool:
        """Return whether a frame can be written now: a terminal held by Ctrl-S must not stop us."""
        return not self._gone and bool(select.select([], [self._fd], [], 0)[1])

    def draw(self, lines: Sequence[str]) -> None:
        """Write these lines over what is there; none may be wider than the screen."""
        opening = "" if self._entered else ENTER
        self._entered = True
        body = "\r\n".join(line + TO_END_OF_LINE for line in lines)
        self._write(f"{opening}{HOME}{body}{BELOW}")

    def close(self) -> None:
        """Go back to the first screen."""
        if self._entered:
            self._entered = False
            self._write(LEAVE)

    def _write(self, text: str) -> None:
        sys.stderr.flush()
        left = text.encode(errors="replace")
        try:
            while left and not self._gone:
                left = left[os.write(self._fd, left) :]
        except OSError:
            # The terminal was closed: that costs the picture, never the run.
            self._gone = True
