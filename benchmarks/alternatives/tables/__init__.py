"""What a Python user would take instead of one of the lab's tables: one file each.

Each module has ``NAME``, as its users call it, and ``make(directory, stack) -> Made``, which makes
one before the processes are forked. What must be closed it hands to ``stack``; ``directory`` is
for what needs a name in the file system.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# How many numbers are asked for: those of the lecture's table.
CELLS = 12


@dataclass(frozen=True)
class Made:
    """``CELLS`` numbers, found by index; or a single ``number`` (``value``).

    ``pids`` are the processes that stand between those who use them.
    """

    cells: Any = None
    number: Any = None
    pids: tuple[int, ...] = ()
