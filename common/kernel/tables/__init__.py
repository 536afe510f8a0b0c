"""Shared memory to keep a table in: one file a kind. Each has ``Options``, ``make``, ``attach``.

- ``make(options, size, maker) -> Address``: the launcher creates ``size`` bytes or more, zeroed
  (a file that outlives its processes keeps what it holds), and fully allocated.
- ``attach(address) -> Memory``: opens it, in the launcher or in a child.
- ``OBJECTS``: how many objects of each kind that the kernel limits by number one table makes.
"""

from __future__ import annotations

from typing import Protocol


class Memory(Protocol):
    """Shared bytes. ``cells`` are the same bytes as doubles: one aligned load or store each."""

    @property
    def bytes(self) -> memoryview:
        """The shared bytes, writable, format ``B``."""

    @property
    def cells(self) -> memoryview[float]:
        """The same memory as native doubles, format ``d``."""

    def close(self) -> None:
        """Release the views, then detach; nothing may be read afterwards."""
