"""multiprocessing.Value with its lock: a double in shared memory, guarded by an RLock."""

from __future__ import annotations

import multiprocessing
from contextlib import ExitStack
from pathlib import Path

from benchmarks.alternatives.locks import Made

NAME = "multiprocessing.Value"


def make(directory: Path, stack: ExitStack) -> Made:
    """Make a number that is 0."""
    return Made(number=multiprocessing.get_context("fork").Value("d", 0.0))
