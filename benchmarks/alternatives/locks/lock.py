"""multiprocessing.Lock: a POSIX semaphore that was unlinked at once; anybody may give it back."""

from __future__ import annotations

import multiprocessing
from contextlib import ExitStack
from pathlib import Path

from benchmarks.alternatives.locks import Made

NAME = "multiprocessing.Lock"


def make(directory: Path, stack: ExitStack) -> Made:
    """Make a free lock."""
    return Made(multiprocessing.get_context("fork").Lock())
