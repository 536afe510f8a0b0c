"""Has this machine what grading needs? Where it has not, no submission is to blame.

A full disk or a low limit of the shell (getrlimit(2)) looks, in a build or a run, as if the
student had done something wrong.
"""

from __future__ import annotations

import os
import resource
import tempfile
from pathlib import Path

from common.grading.warden import LARGEST_FILE, GraderFailed

# Where files of a run and of a submission lie, and how much must be free there (bytes).
BEFORE = 2 * LARGEST_FILE
# With less than this a run or a build fails that would not (bytes).
AFTER = 16 << 20
# The table and named objects are small (bytes).
MEMORY = 4 << 20
# A run holds some files for each of its processes.
FILES = 256


def check_limits() -> None:
    """Raise ``GraderFailed`` when the grader may not do what a submission may, or has no room."""
    for which, least, name in (
        (resource.RLIMIT_FSIZE, LARGEST_FILE, "the largest file (ulimit -f)"),
        (resource.RLIMIT_NOFILE, FILES, "open files (ulimit -n)"),
    ):
        soft = resource.getrlimit(which)[0]
        if soft != resource.RLIM_INFINITY and soft < least:
            raise GraderFailed(f"its limit of {name} is {soft:,}, and grading needs {least:,}")
    check_room(BEFORE)


def check_room(least: int = AFTER, own: Path | None = None) -> None:
    """Raise ``GraderFailed`` when less than ``least`` bytes are free.

    Not where ``own``, a directory of the submission, holds more than is missing: then it has
    filled the disk itself.
    """
    for place, wanted in ((Path(tempfile.gettempdir()), least), (Path("/dev/shm"), MEMORY)):
        if not place.is_dir():
            continue
        disk = os.statvfs(place)
        free = disk.f_bavail * disk.f_frsize
        inodes = disk.f_files and disk.f_favail < FILES
        if free >= wanted and not inodes:
            continue
        if own is None or free + size(own) < wanted + LARGEST_FILE:
            raise GraderFailed(f"no space left in {place}: {free >> 20} MiB are free")


def size(directory: Path) -> int:
    """Return how many bytes the files below a directory take."""
    found = 0
    for where, _, names in os.walk(directory):
        for name in names:
            try:
                found += os.lstat(Path(where) / name).st_blocks * 512
            except OSError:
                continue
    return found
