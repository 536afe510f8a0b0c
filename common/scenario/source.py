"""How the bytes of a scenario file become text: only a small regular UTF-8 file is accepted."""

from __future__ import annotations

import difflib
import os
import re
import stat
from pathlib import Path

from common.errors import Complaint, ScenarioError

# A scenario of 200 lines has 8 KiB; a parser fed with megabytes takes seconds.
LARGEST = 256 * 1024

# What YAML does not allow in a stream (a byte order mark only at its beginning), and the marks
# that turn the direction of writing, which make a text look other than it is.
UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff"
    r"\u202a-\u202e\u2066-\u2069]"
)

_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def shown(path: Path) -> str:
    """Return ``path`` as it can be printed, whatever bytes its name has."""
    return UNPRINTABLE.sub("?", str(path))


def read(path: Path) -> str:
    """Return the text of a scenario file; raises ``ScenarioError`` with the one thing wrong."""
    data = _bytes(path)
    if data.startswith(_UTF16) or data.count(0) * 4 > len(data) > 0:
        raise _wrong(path, "the file is UTF-16, not UTF-8", "save it as UTF-8")
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8").removeprefix("\ufeff")
        reason = f"byte 0x{data[error.start]:02X} is not UTF-8"
        raise _wrong(path, reason, "save the file as UTF-8, not Latin-1", before) from None
    if unprintable := UNPRINTABLE.search(text):
        reason = f"the character U+{ord(unprintable[0]):04X} is not allowed"
        raise _wrong(path, reason, "remove it", text[: unprintable.start()])
    return text


def _bytes(path: Path) -> bytes:
    try:
        # Not blocking: opening a FIFO would wait for its writer for ever.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except ValueError:
        # What Python says of it differs from version to version.
        raise _wrong(path, "cannot be opened: its name has a null byte", "") from None
    except OSError as error:
        raise _wrong(path, f"cannot be opened: {error.strerror}", _neighbour(path)) from None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise _wrong(path, "is not a regular file", "name a YAML file")
        data = b""
        while len(data) <= LARGEST and (piece := os.read(fd, LARGEST + 1 - len(data))):
            data += piece
    finally:
        os.close(fd)
    if len(data) > LARGEST:
        raise _wrong(path, f"is larger than {LARGEST // 1024} KiB", "a scenario is a short text")
    return data


def _neighbour(path: Path) -> str:
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except (OSError, ValueError):
        return ""
    close = difflib.get_close_matches(path.name, [name for name in names if name != path.name], 1)
    return f"did you mean {shown(path.parent / close[0])}?" if close else ""


def _wrong(path: Path, reason: str, hint: str, before: str = "") -> ScenarioError:
    lines = re.split("\r\n|\r|\n", before)
    return ScenarioError([Complaint(shown(path), len(lines), len(lines[-1]) + 1, "", reason, hint)])
