"""multiprocessing.Manager().list: a list of a process of its own, asked through a socket."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from benchmarks.alternatives import manager
from benchmarks.alternatives.tables import CELLS, Made

NAME = "multiprocessing.Manager().list"


def make(directory: Path, stack: ExitStack) -> Made:
    """Start the manager and make its list."""
    made, pid = manager.start(directory, stack)
    return Made(made.list([0.0] * CELLS), pids=(pid,))
