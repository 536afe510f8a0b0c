"""What a Python user would take instead of one of the lab's channels: one file each.

Each module has ``NAME``, as its users call it, and ``line(directory, stack) -> Line``, which makes
one before the processes are forked. What must be closed it hands to ``stack``; ``directory`` is
for what needs a name in the file system. ``SETTLES`` is for how many seconds at least one must send
in a turn, where less would show no more than a beginning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """A way for messages from one process to another, made before both.

    ``sender`` and ``receiver`` are called in the process that has the end, and return what sends a
    message and what returns the next one. ``pids`` are the processes that stand between the two.
    """

    sender: Callable[[], Callable[[bytes], object]]
    receiver: Callable[[], Callable[[], object]]
    pids: tuple[int, ...] = ()
