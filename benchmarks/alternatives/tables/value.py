"""multiprocessing.Value: a double in shared memory; each access takes and gives its lock."""

from __future__ import annotations

import multiprocessing
from contextlib import ExitStack
from pathlib import Path

from benchmarks.alternatives.tables import Made

NAME = "multiprocessing.Value"


def make(directory: Path, stack: ExitStack) -> Made:
    """Make a number that is 0."""
    return Made(number=multiprocessing.get_context("fork").Value("d", 0.0))
