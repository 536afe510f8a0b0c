"""multiprocessing.shared_memory: POSIX shared memory, here cast to doubles; no lock."""

from __future__ import annotations

from contextlib import ExitStack
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

from benchmarks.alternatives.tables import CELLS, Made
from common import names

NAME = "multiprocessing.shared_memory"


def make(directory: Path, stack: ExitStack) -> Made:
    """Make numbers that are 0."""
    memory = SharedMemory(f"lab-{names.new_token()}", create=True, size=CELLS * 8)
    stack.callback(memory.unlink)
    stack.callback(memory.close)
    assert memory.buf is not None
    cells = memory.buf[: CELLS * 8].cast("d")
    stack.callback(cells.release)
    return Made(cells)
