"""The structured log: life-cycle events and findings; narration, never evidence.

JSON lines in the run directory, one write each; the same events for people on a terminal.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import Any

from common.errors import MachineError

WARNINGS = frozenset(
    {"process_hung", "peer_refused", "report_refused", "stray_ended", "dead_run_cleaned"}
)


# How long events are kept before the first is written (s). structlog takes longer to import than
# a small run takes to run, and every page that it brings makes each fork dearer.
PATIENCE = 1.0


class _Lines:
    """Writes each line with one system call, so that lines of several writers stay whole."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def info(self, line: str) -> None:
        # Narration: a full disk costs the line, never the run.
        with contextlib.suppress(OSError):
            os.write(self._fd, (line + "\n").encode(errors="backslashreplace"))

    warning = info


class EventLog:
    """The log of one run: called with an event's name and facts.

    ``narrate`` is ``"all"`` (every event, for people, on standard error), ``"warnings"`` or
    ``"nothing"``. Events are stamped when they happen, in UTC and in CLOCK_MONOTONIC ns, and
    written in that order, a second later at most.
    """

    def __init__(self, path: Path, narrate: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            self._fd = os.open(path, flags, 0o600)
        except OSError as error:
            raise MachineError(
                f"cannot write {path}: {error.strerror}", "choose another --out"
            ) from None
        self._narrate = narrate
        self._kept: list[tuple[str, dict[str, Any]]] = []
        self._since = time.monotonic()
        self._writers: tuple[Any, Any] | None = None

    def __call__(self, event: str, **facts: Any) -> None:
        """Take one event."""
        if event != "progress":
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
            self._kept.append(
                (event, {"time": stamp, "at_ns": time.monotonic_ns(), "facts": facts})
            )
        late = time.monotonic() - self._since > PATIENCE
        if self._narrate == "all" or event in WARNINGS or late:
            self._flush()

    def close(self) -> None:
        """Write what is kept and close the file."""
        self._flush()
        os.close(self._fd)

    def _flush(self) -> None:
        kept, self._kept = self._kept, []
        for event, entry in kept:
            file, console = self._writers = self._writers or self._open()
            facts = entry.pop("facts")
            level = "warning" if event in WARNINGS else "info"
            getattr(file, level)(event, **entry, **facts)
            if self._narrate == "all" or (self._narrate == "warnings" and level == "warning"):
                getattr(console, level)(event, **_readable(facts))

    def _open(self) -> tuple[Any, Any]:
        import structlog

        colors = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
        level = structlog.processors.add_log_level
        file, console = (
            structlog.wrap_logger(
                _Lines(fd), processors=[level, shown], wrapper_class=structlog.BoundLogger
            )
            for fd, shown in (
                (self._fd, structlog.processors.JSONRenderer(default=str)),
                (2, structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=20)),
            )
        )
        return file, console


def _readable(facts: dict[str, Any]) -> dict[str, Any]:
    # Text from other processes may hold control characters: show them, never obey them.
    return {
        key: value.encode("unicode_escape").decode() if isinstance(value, str) else value
        for key, value in facts.items()
    }
