"""multiprocessing.Queue: a pipe, a lock, pickled objects, and a thread of the sender that writes.

Its senders never wait: what the pipe has no room for stays in the sender's memory.
"""

from __future__ import annotations

import multiprocessing
from contextlib import ExitStack
from pathlib import Path

from benchmarks.alternatives.channels import Line

NAME = "multiprocessing.Queue"
# Its senders never wait, so a short turn is a burst into memory: its two threads must have taken
# many turns with the interpreter, of 5 ms each (sys.getswitchinterval).
SETTLES = 0.2


def line(directory: Path, stack: ExitStack) -> Line:
    """Make a queue without a bound, as most are."""
    queue = multiprocessing.get_context("fork").Queue()
    stack.callback(queue.close)
    return Line(lambda: queue.put, lambda: queue.get)
