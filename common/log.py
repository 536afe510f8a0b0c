"""The structured log: life-cycle events and findings; narration, never evidence.

JSON lines in the run directory, each in the file when its event has happened; on a terminal
structlog tells people the same events.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from common.errors import MachineError

WARNINGS = frozenset(
    {"process_hung", "peer_refused", "report_refused", "stray_ended", "dead_run_cleaned"}
)
# Bytes of a line at most: such a write stays whole, whoever else appends to the file.
LONGEST = 4096
# The last line of a log that could not be written to its end.
INCOMPLETE = "log_incomplete"


class EventLog:
    """The log of one run: called with an event's name and facts.

    ``narrate`` is ``"all"`` (every event, for people, on standard error), ``"warnings"`` or
    ``"nothing"``. Each event is stamped in UTC and in CLOCK_MONOTONIC ns, numbered (``line``), and
    written with one write(2) before the call returns. ``incomplete`` is the reason why a line could
    not be written, None while there is none: a full disk ends the log, never the run.
    """

    def __init__(self, path: Path, narrate: str) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            self._fd = os.open(path, flags, 0o600)
        except OSError as error:
            raise MachineError(
                f"cannot write {path}: {error.strerror}", "choose another --out"
            ) from None
        self.incomplete: str | None = None
        self._narrate = narrate
        self._line = 0
        self._half_given = False
        self._console: Any = None

    def __call__(self, event: str, **facts: Any) -> None:
        """Take one event."""
        if event == "progress":
            return
        level = "warning" if event in WARNINGS else "info"
        line = self._next(event, level, facts)
        if self.incomplete is None:
            self._write(line)
        if self._narrate == "all" or (self._narrate == "warnings" and level == "warning"):
            self._console = self._console or _console()
            getattr(self._console, level)(event, **_readable(facts))

    def give_way(self) -> bool:
        """Give half of an incomplete log back to the disk, for what is evidence; False after that.

        Its last line still says that it is incomplete.
        """
        if self.incomplete is None or self._half_given:
            return False
        self._half_given = True
        self._cut(os.fstat(self._fd).st_size // 2)
        return True

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def _next(self, event: str, level: str, facts: dict[str, Any]) -> bytes:
        self._line += 1
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
        before = {"time": stamp, "at_ns": time.monotonic_ns(), "line": self._line}
        return _fitting(before, facts, {"event": event, "level": level})

    def _write(self, line: bytes) -> None:
        try:
            # Once: only where the disk took a part of it, the second write says why.
            while line:
                line = line[os.write(self._fd, line) :]
        except OSError as error:
            self.incomplete = error.strerror
            self._cut(os.fstat(self._fd).st_size)

    def _cut(self, size: int) -> None:
        """End the log within its first ``size`` bytes: whole lines, and one that says so."""
        mark = self._next(INCOMPLETE, "warning", {"reason": self.incomplete})
        # What the mark needs is taken from lines that the disk has taken: there is room for it.
        most = max(0, size - len(mark))
        begin = max(0, most - LONGEST)
        end = begin + os.pread(self._fd, most - begin, begin).rfind(b"\n") + 1
        os.ftruncate(self._fd, end)
        with contextlib.suppress(OSError):
            if os.write(self._fd, mark) < len(mark):
                os.ftruncate(self._fd, end)


# As structlog's JSONRenderer writes it. structlog itself takes longer to import than a small run
# takes to run, and every page that it brings makes each fork dearer: whom nobody looks at has none.
_encoded = json.JSONEncoder(default=str).encode


def _fitting(before: dict[str, Any], facts: dict[str, Any], after: dict[str, Any]) -> bytes:
    """Return a line; where it would be too long, the longest facts are cut texts, and named."""
    line = _encoded(before | facts | after) + "\n"
    if len(line) > LONGEST:
        texts = {
            name: fact if isinstance(fact, str) else _encoded(fact) for name, fact in facts.items()
        }
        room = LONGEST
        while len(line) > LONGEST and room:
            room //= 2
            cut = {name: text[:room] for name, text in texts.items() if len(text) > room}
            whole = {name: len(texts[name]) for name in cut}
            line = _encoded(before | facts | cut | {"shortened": whole} | after) + "\n"
        if len(line) > LONGEST:
            # So many facts that their names alone fill it.
            line = _encoded(before | {"shortened": len(facts)} | after) + "\n"
    return line.encode()


def _console() -> Any:
    import structlog

    colors = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    return structlog.wrap_logger(
        _Terminal(),
        processors=[
            structlog.processors.add_log_level,
            structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=20),
        ],
        wrapper_class=structlog.BoundLogger,
    )


class _Terminal:
    """Writes each line with one system call, so that lines of several writers stay whole."""

    def info(self, line: str) -> None:
        # Narration: a terminal that has gone costs the line, never the run.
        with contextlib.suppress(OSError):
            os.write(2, (line + "\n").encode(errors="backslashreplace"))

    warning = info


def _readable(facts: dict[str, Any]) -> dict[str, Any]:
    # Text from other processes may hold control characters: show them, never obey them.
    return {
        key: value.encode("unicode_escape").decode() if isinstance(value, str) else value
        for key, value in facts.items()
    }
