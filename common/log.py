"""The structured log: life-cycle events and findings; narration, never evidence.

JSON lines in the run directory, one write each; the same events for people on a terminal.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import structlog

WARNINGS = frozenset({"process_hung", "peer_refused", "report_refused", "leak", "checker_failed"})


class _Lines:
    """Writes each line with one system call, so that lines of several writers stay whole."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def info(self, line: str) -> None:
        os.write(self._fd, (line + "\n").encode(errors="backslashreplace"))

    warning = info


class EventLog:
    """The log of one run: called with an event's name and facts.

    ``narrate`` is ``"all"`` (every event, for people, on standard error), ``"warnings"`` or
    ``"nothing"``. Events are stamped when they happen, in UTC and in CLOCK_MONOTONIC ns.
    """

    def __init__(self, path: Path, narrate: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(path, flags, 0o600)
        shared: list[Any] = [structlog.processors.add_log_level]
        self._file = structlog.wrap_logger(
            _Lines(self._fd),
            processors=[*shared, structlog.processors.JSONRenderer(default=str)],
            wrapper_class=structlog.BoundLogger,
        )
        colors = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
        self._console = structlog.wrap_logger(
            _Lines(sys.stderr.fileno() if narrate != "nothing" else self._fd),
            processors=[*shared, structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=20)],
            wrapper_class=structlog.BoundLogger,
        )
        self._narrate = narrate

    def __call__(self, event: str, **facts: Any) -> None:
        """Write one event."""
        if event == "progress":
            return
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
        level = "warning" if event in WARNINGS else "info"
        getattr(self._file, level)(event, time=stamp, at_ns=time.monotonic_ns(), **facts)
        if self._narrate == "all" or (self._narrate == "warnings" and level == "warning"):
            getattr(self._console, level)(event, **_readable(facts))

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def _readable(facts: dict[str, Any]) -> dict[str, Any]:
    # Text from other processes may hold control characters: show them, never obey them.
    return {
        key: value.encode("unicode_escape").decode() if isinstance(value, str) else value
        for key, value in facts.items()
    }
