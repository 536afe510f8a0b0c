"""multiprocessing.Manager().Lock: a lock of a process of its own, asked through a socket."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import cast

from benchmarks.alternatives import manager
from benchmarks.alternatives.locks import Lock, Made

NAME = "multiprocessing.Manager().Lock"


def make(directory: Path, stack: ExitStack) -> Made:
    """Start the manager and make its lock."""
    made, pid = manager.start(directory, stack)
    return Made(cast(Lock, made.Lock()), pids=(pid,))
