"""multiprocessing.Array: doubles in shared memory; each access takes and gives their lock."""

from __future__ import annotations

import multiprocessing
from contextlib import ExitStack
from pathlib import Path

from benchmarks.alternatives.tables import CELLS, Made

NAME = "multiprocessing.Array"


def make(directory: Path, stack: ExitStack) -> Made:
    """Make numbers that are 0."""
    return Made(multiprocessing.get_context("fork").Array("d", CELLS))
