"""Shared memory to keep a table in: one file a kind. Each has ``Options``, ``make``, ``attach``.

- ``make(options, size, maker, behind=0) -> Address``: the launcher creates ``size`` bytes or more,
  zeroed (a file that outlives its processes keeps what it holds), and fully allocated; ``behind``
  are bytes for what follows the rows.
- ``attach(address) -> Memory``: opens it, in the launcher or in a child.
- ``facts(options) -> Facts``: how it behaves where the kinds differ.
- ``MAPPED = True``, where the cells are memory, which the attached table then has as ``bytes``.
- ``OBJECTS``: how many objects of each kind that the kernel limits by number one table makes.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, overload


class Facts(NamedTuple):
    """How a table behaves, as the conformance suite finds it.

    ``outlives``: its contents carry on in the next run. The rest are words: ``access`` what it is
    to read or write one cell, ``limits``, ``persists`` when the contents end, ``named`` how
    another process finds it.
    """

    outlives: bool
    access: str
    limits: str
    persists: str
    named: str


class Cells(Protocol):
    """Native doubles, by number; each is read and written whole, at once."""

    @overload
    def __getitem__(self, at: int, /) -> float: ...
    @overload
    def __getitem__(self, at: slice, /) -> Cells: ...
    def __getitem__(self, at: int | slice, /) -> float | Cells:
        """Return one cell, or a view of some."""

    def __setitem__(self, at: int, value: float, /) -> None:
        """Store one cell."""

    def __len__(self) -> int:
        """Return how many there are."""

    def tolist(self) -> list[float]:
        """Return all of them, read one after the other."""


class Memory(Protocol):
    """Shared cells of 8 bytes, in the machine's own layout of a C ``double``."""

    @property
    def cells(self) -> Cells:
        """The cells; where the memory is mapped, one aligned load or store each."""

    def close(self) -> None:
        """Release the views, then detach; nothing may be read afterwards."""
