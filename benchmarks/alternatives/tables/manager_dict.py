"""multiprocessing.Manager().dict: a dictionary of a process of its own, asked through a socket."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from benchmarks.alternatives import manager
from benchmarks.alternatives.tables import CELLS, Made

NAME = "multiprocessing.Manager().dict"


def make(directory: Path, stack: ExitStack) -> Made:
    """Start the manager and make its dictionary."""
    made, pid = manager.start(directory, stack)
    return Made(made.dict(dict.fromkeys(range(CELLS), 0.0)), pids=(pid,))
