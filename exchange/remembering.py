"""What an office remembers of the calls that it did, so that a call that comes again is done once.

An idempotence key names a call however often it is sent. Kept in a process's memory the answers die
with it; kept in a file, every office of the run knows them, and those that come after a death too.
"""

from __future__ import annotations

import errno
import os

NOTHING, MEMORY, FILE = "nothing", "memory", "file"
PLACES = (NOTHING, MEMORY, FILE)


class Answers:
    """The answers given so far, by key; ``file`` (a descriptor) is where all offices keep them.

    Without a file they are this process's own. Nothing here is locked: of one key there is one
    call at a time, since a caller sends it again only when the connection is lost.
    """

    def __init__(self, file: int | None) -> None:
        self._known: dict[str, bytes] = {}
        self._file = file
        self._read = 0
        self._rest = b""

    def look(self, key: str) -> bytes | None:
        """Return the answer that was given to the call of this key; None when there is none."""
        if key not in self._known and self._file is not None:
            self._catch_up(self._file)
        return self._known.get(key)

    def remember(self, key: str, answer: bytes) -> None:
        """Keep an answer, before it is sent: whoever sends the call again gets the same."""
        self._known[key] = answer
        if self._file is not None:
            # One write(2) at the end of the file: whole lines, whoever else writes (O_APPEND).
            line = key.encode() + b" " + answer + b"\n"
            if os.write(self._file, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _catch_up(self, file: int) -> None:
        while more := os.pread(file, 1 << 16, self._read):
            self._read += len(more)
            *lines, self._rest = (self._rest + more).split(b"\n")
            for line in lines:
                key, _, answer = line.partition(b" ")
                self._known[key.decode()] = answer
