"""multiprocessing.SimpleQueue: a pipe and two locks; the sender itself pickles and writes."""

from __future__ import annotations

import multiprocessing
from contextlib import ExitStack
from pathlib import Path

from benchmarks.alternatives.channels import Line

NAME = "multiprocessing.SimpleQueue"
SETTLES = 0.0


def line(directory: Path, stack: ExitStack) -> Line:
    """Make a queue."""
    queue = multiprocessing.get_context("fork").SimpleQueue()
    stack.callback(queue.close)
    return Line(lambda: queue.put, lambda: queue.get)
