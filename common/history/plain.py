"""Reads a file of a stored run: a run may come from somebody else, and is then not trusted.

Nothing is followed out of its directory, waited for, or obeyed by a terminal.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Any, BinaryIO

from common import names
from common.errors import StoredRunError

# The largest plan, outcome, verdict or paper that is read; a paper has a line a page.
LARGEST = 1 << 30
# What a run calls its processes and papers: one part of a path, and none that is hidden.
NAME = re.compile(r"[^./\x00][^/\x00]{0,79}")
# What a terminal obeys: control characters, marks that turn the direction of writing, surrogates.
# A new line and a tab are layout.
_ORDER = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def opened(path: Path) -> BinaryIO:
    """Open a regular file to read; raises ``OSError``, and ``StoredRunError`` for any other."""
    # Not blocking: a planted FIFO would be waited for.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise StoredRunError(f"{shown(path)} is not a regular file")
    return os.fdopen(fd, "rb")


# How a text is read and written that may hold bytes which are none: each comes back as it was.
ANY_BYTE = "surrogateescape"


def read(path: Path, errors: str = "strict") -> str:
    """Return the text of a regular file; raises ``OSError``, ``ValueError``, ``StoredRunError``."""
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > LARGEST:
            raise StoredRunError(f"{shown(path)} has {size} bytes: no run writes so much")
        return file.read().decode("utf-8", errors=errors)


def shown(path: Path) -> str:
    """Return a path as it can be printed."""
    return names.printable(path)


def check_name(name: str, where: str) -> None:
    """Raise ``StoredRunError`` for a name that would lead out of the run's directory."""
    if not NAME.fullmatch(name):
        raise StoredRunError(f"{where} has the name {names.printable(name)[:60]}: none of ours")


def check_words(value: Any, where: str) -> None:
    """Raise ``StoredRunError`` where a text, or a key, has what a terminal would obey.

    The loader of scenarios and the launcher let none of it in, so no run of ours has it.
    """
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            waiting += [*each.keys(), *each.values()]
        elif isinstance(each, list):
            waiting += each
        elif isinstance(each, str) and (wrong := _ORDER.search(each)):
            raise StoredRunError(
                f"{where} has the character U+{ord(wrong[0]):04X}, which no run of ours writes"
            )
