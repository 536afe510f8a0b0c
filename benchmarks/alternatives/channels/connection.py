"""multiprocessing.Pipe: a pipe with a length in front of each message, for one reader and writer.

Messages are bytes already, so they go by ``send_bytes`` and are not pickled.
"""

from __future__ import annotations

import multiprocessing
from contextlib import ExitStack
from pathlib import Path

from benchmarks.alternatives.channels import Line

NAME = "multiprocessing.Pipe"
SETTLES = 0.0


def line(directory: Path, stack: ExitStack) -> Line:
    """Make a pipe of one direction."""
    reading, writing = multiprocessing.get_context("fork").Pipe(duplex=False)
    stack.enter_context(reading)
    stack.enter_context(writing)
    return Line(lambda: writing.send_bytes, lambda: reading.recv_bytes)
