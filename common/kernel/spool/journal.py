"""The journal of a spool: one JSON object a line, each written by one write(2) at the end.

The first line is the address of the spool. The others say who moved which job from where to where
and why, or what a printer is (`ready`, `stopped`, `gone`); ``at`` is CLOCK_MONOTONIC in ns. The
writer holds the spool's lock, so the lines stand in the order in which things happened.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.errors import MachineError, StoredRunError
from common.kernel import limits

NAME = "journal"
# In the directory of a run: a second name of the same file, which stays when the spool goes on.
STORED = "journal.jsonl"
# A line is shorter than this; the last one is looked for in so many bytes.
LONGEST = 4096

Line = dict[str, Any]


class Journal:
    """An open journal in ``directory``; every call but ``close`` is made under the spool's lock."""

    def __init__(self, fd: int, directory: Path) -> None:
        self._fd = fd
        self._directory = directory
        # How far it was read, and where what this process knows to be done ends.
        self._read = 0
        self._done = -1

    @property
    def inode(self) -> int:
        """Which file it is."""
        return os.fstat(self._fd).st_ino

    def last(self) -> Line | None:
        """Return the last line if another process wrote it; a half one is cut off before.

        A half line was written to a full disk, and what it was to say has not been done.
        """
        size = os.fstat(self._fd).st_size
        if size == self._done:
            return None
        tail = os.pread(self._fd, LONGEST, max(0, size - LONGEST))
        whole = tail.rfind(b"\n") + 1
        if whole < len(tail):
            os.ftruncate(self._fd, size - len(tail) + whole)
        lines = tail[:whole].split(b"\n")
        # The first of several may have lost its beginning; the last is empty.
        return _parsed(lines[-2]) if len(lines) > 2 else None

    def append(self, line: Line) -> None:
        """Write one line; raises ``MachineError`` when the disk is full."""
        text = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        try:
            written = os.write(self._fd, text)
        except OSError as error:
            raise limits.refusal("file", str(error), self._directory) from None
        if written < len(text):
            self._done = -1
            raise MachineError("the disk is full: a line of the spool's journal was cut")

    def settled(self) -> None:
        """What the last line says has been done."""
        self._done = self.size

    @property
    def size(self) -> int:
        """Its length in bytes: it only grows, so it numbers what comes."""
        return os.fstat(self._fd).st_size

    def news(self) -> Iterator[Line]:
        """Yield the lines that were written since the last time."""
        rest = b""
        while more := os.pread(self._fd, 1 << 16, self._read):
            self._read += len(more)
            *lines, rest = (rest + more).split(b"\n")
            yield from filter(None, map(_parsed, lines))
        # What has no end yet is read again.
        self._read -= len(rest)

    def sync(self) -> None:
        """Have it on the disk (fsync(2))."""
        os.fsync(self._fd)

    def close(self) -> None:
        """Close it."""
        os.close(self._fd)


def read(path: Path, size: int | None = None) -> list[Line]:
    """Return the whole lines of a journal, or of its first ``size`` bytes.

    Raises ``StoredRunError`` when it is not one.
    """
    try:
        text = path.read_bytes()[:size]
    except OSError as error:
        raise StoredRunError(f"{path} cannot be read: {error.strerror}") from error
    lines = [_parsed(line) for line in text.split(b"\n")[:-1]]
    if not lines or lines[0] is None or "spool" not in lines[0]:
        raise StoredRunError(f"{path} is not the journal of a spool")
    return [line for line in lines if line is not None]


def flaws(path: Path, size: int | None = None) -> list[str]:
    """Return what is wrong with the journal of a run that is over, whose length was ``size``."""
    text = path.read_bytes()
    told = []
    if size is not None and len(text) < size:
        told.append(f"it was {size:,} bytes long, and {len(text):,} are left")
    *lines, rest = text[:size].split(b"\n")
    unreadable = sum(_parsed(line) is None for line in lines) + bool(rest)
    if unreadable:
        told.append(f"{unreadable:,} of its lines cannot be read")
    # Each bears the time at which it was written.
    if doubled := len(lines) - len(set(lines)):
        told.append(f"{doubled:,} of its lines are there twice")
    return told


def _parsed(line: bytes) -> Line | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
