"""Directories in which graders work, each named after its grader, so that those of dead ones go.

The name tells it: user, pid namespace, pid and start time of the grader. What lies in one was made
by a submission, so nothing in it is believed.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from common import names

PREFIX = "lab-grade-"
_NAME = re.compile(PREFIX + r"([0-9]+)-([0-9]+)-([0-9]{1,9})-([0-9]+)-\w+")


@dataclass(frozen=True)
class Room:
    """A grader's directory; ``alive`` says whether that grader is, as far as is known here."""

    directory: Path
    pid: int
    alive: bool


@contextmanager
def room() -> Iterator[Path]:
    """Make a directory for this process, of mode 0700; it is gone afterwards."""
    mine = f"{os.geteuid()}-{_namespace()}-{os.getpid()}-{names.start_time(os.getpid())}"
    with tempfile.TemporaryDirectory(
        prefix=f"{PREFIX}{mine}-", ignore_cleanup_errors=True
    ) as directory:
        yield Path(directory)


def rooms() -> list[Room]:
    """Return the directories of this user's graders, live or dead, and of nobody else."""
    parents = {Path(tempfile.gettempdir()), Path("/tmp")}
    found = []
    for path in sorted(each for parent in parents for each in parent.glob(f"{PREFIX}*")):
        match = _NAME.fullmatch(path.name)
        if match is None or int(match[1]) != os.geteuid() or not names.is_private_directory(path):
            continue
        pid = int(match[3])
        # What a pid means in another namespace cannot be seen from here.
        elsewhere = match[2] != _namespace()
        found.append(Room(path, pid, elsewhere or names.start_time(pid) == int(match[4])))
    return found


def clean(left: Room) -> str:
    """Remove the directory of a dead grader; returns a sentence of what was done."""
    if left.alive or not names.is_private_directory(left.directory):
        return f"left {left.directory}: it is not that of a dead grader of this user"
    # A submission may have closed its directories; a link is removed itself, never followed.
    for where, below, _ in os.walk(left.directory):
        for each in (Path(where) / name for name in below):
            with contextlib.suppress(OSError):
                if stat.S_ISDIR(each.lstat().st_mode):
                    each.chmod(0o700)
    try:
        shutil.rmtree(left.directory)
    except OSError as error:
        return f"left {left.directory}: {error.strerror} ({error.filename})"
    return f"removed directory {left.directory} of a dead grader"


def _namespace() -> str:
    """Return the number of this process's pid namespace; 0 where the kernel does not say it."""
    try:
        return "".join(filter(str.isdigit, str(Path("/proc/self/ns/pid").readlink()))) or "0"
    except OSError:
        return "0"
