"""multiprocessing.RLock: a POSIX semaphore whose holder may take it again."""

from __future__ import annotations

import multiprocessing
from contextlib import ExitStack
from pathlib import Path

from benchmarks.alternatives.locks import Made

NAME = "multiprocessing.RLock"


def make(directory: Path, stack: ExitStack) -> Made:
    """Make a free lock."""
    return Made(multiprocessing.get_context("fork").RLock())
