"""One at a time, over all test workers and suites of this machine: for fixed keys and paths."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def alone() -> Iterator[None]:
    """Hold what only one test may hold: a key, or a path in /tmp, that is the same for all.

    A lock on a directory (flock(2)) leaves nothing behind, and ends with its process.
    """
    fd = os.open("/tmp", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
