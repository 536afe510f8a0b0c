"""multiprocessing.Manager().Queue: a queue in a process of its own, asked through a socket."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from benchmarks.alternatives import manager
from benchmarks.alternatives.channels import Line

NAME = "multiprocessing.Manager().Queue"
SETTLES = 0.0


def line(directory: Path, stack: ExitStack) -> Line:
    """Start the manager and make its queue; it ends with ``stack``, or with this process."""
    made, pid = manager.start(directory, stack)
    queue = made.Queue()
    return Line(lambda: queue.put, lambda: queue.get, (pid,))
