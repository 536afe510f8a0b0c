"""What a Python user would take instead of one of the lab's locks: one file each.

Each module has ``NAME``, as its users call it, and ``make(directory, stack) -> Made``, which makes
one before the processes are forked. What must be closed it hands to ``stack``; ``directory`` is
for what needs a name in the file system.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


class Lock(Protocol):
    """A lock as Python knows them."""

    def acquire(self) -> Any:
        """Take it; blocks."""

    def release(self) -> Any:
        """Give it back."""

    def __enter__(self) -> Any:
        """Take it; blocks."""

    def __exit__(self, *_: Any) -> Any:
        """Give it back."""


@dataclass(frozen=True)
class Made:
    """A lock; or a ``number`` that brings its own (``get_lock``, ``value``).

    ``pids`` are the processes that stand between those who use it.
    """

    lock: Lock | None = None
    number: Any = None
    pids: tuple[int, ...] = ()
