"""A file that outlives the runs that map it, held by one run at a time."""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

from common.errors import KernelObjectError, MachineError, NotPermitted, ObjectExists

FIRST_PAUSE, LONGEST_PAUSE = 0.001, 0.1


def open_exclusively(path: Path, patience: float, interrupted: Callable[[], bool]) -> int:
    """Open or make ``path`` and lock it (flock(2)); returns its descriptor.

    Waits up to ``patience`` (s) for another run to let go, then raises ``ObjectExists`` naming the
    holder; raises ``MachineError`` as soon as ``interrupted`` says so. Raises ``NotPermitted`` for
    a file that is not regular, not ours, or has a second name.
    """
    deadline = time.monotonic() + patience
    pause = FIRST_PAUSE
    while True:
        fd = _open_regular(path)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Between open and lock another run may have put another file in its place.
            if os.path.samestat(os.fstat(fd), os.lstat(path)):
                return fd
        except (BlockingIOError, FileNotFoundError):
            pass
        holder = _holder(fd)
        os.close(fd)
        if interrupted():
            raise MachineError(f"interrupted while waiting for {path}, held by {holder}")
        if time.monotonic() > deadline:
            raise ObjectExists(
                f"{path} has been held by another run ({holder}) for {patience:g} s",
                "wait for it to end, or run with another --out",
            )
        # A pause, not synchronisation, which the lock does: flock(2) knows no deadline, and Python
        # goes on with it after a signal. Look again, ever more seldom.
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)


def _open_regular(path: Path) -> int:
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, flags | os.O_CREAT, 0o600)
    except PermissionError:
        raise NotPermitted(f"{path} is closed to this user", f"ls -l {path}") from None
    except OSError as error:
        raise KernelObjectError(
            f"cannot open {path}: {error.strerror}", "it must be a regular file, not a link"
        ) from None
    status = os.fstat(fd)
    problem = ""
    if not stat.S_ISREG(status.st_mode):
        problem = "is not a regular file"
    elif status.st_uid != os.geteuid():
        problem = f"belongs to uid {status.st_uid}"
    elif status.st_nlink != 1:
        problem = f"has {status.st_nlink} names (hard links)"
    if problem:
        os.close(fd)
        raise NotPermitted(f"{path} {problem}", "name another file, or move it away")
    return fd


def _holder(fd: int) -> str:
    # /proc/locks: "1: FLOCK ADVISORY WRITE <pid> <major>:<minor>:<inode> 0 EOF" (proc(5))
    inode = os.fstat(fd).st_ino
    for line in Path("/proc/locks").read_text().splitlines():
        fields = line.split()
        if "FLOCK" in fields and f":{inode} " in line:
            return f"process {fields[fields.index('FLOCK') + 3]}"
    return "a process unknown"
