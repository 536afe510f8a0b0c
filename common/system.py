"""The record by which a system (exchange, spooler) introduces itself to the shared pipeline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from common.history.operations import Operation

if TYPE_CHECKING:
    from common.scenario.plan import Plan


# Stocks are multiples of this, and at most that: then every sum of them is exact in a double.
GRAIN = 2.0**-30
LARGEST_EXACT = 2.0**22


@dataclass(frozen=True)
class TableLayout:
    """The rows of a shared table: ``fields`` doubles a row, in this order, from byte 0 on.

    ``exact`` names the fields whose sums must be exact.
    """

    rows: tuple[str, ...]
    fields: tuple[str, ...]
    initial: tuple[tuple[float, ...], ...]
    exact: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes that the rows take."""
        return len(self.rows) * len(self.fields) * 8


class Asked(NamedTuple):
    """What a role is to do to the table, as its options have it.

    So many ``operations`` (0: no end), each on one of ``rows``, by an amount of ``smallest`` or
    more and less than ``largest``; whether it ``adds`` to rows, and whether it ``takes`` from them.
    """

    operations: int
    rows: list[int]
    smallest: float
    largest: float
    adds: bool = True
    takes: bool = True


@dataclass(frozen=True)
class System:
    """What the pipeline must know of one system.

    ``roles`` is the package whose files are its roles; ``remarks`` returns sentences about a plan
    that a reader should know (facts of the lecture's data, not errors).
    """

    name: str
    about: str
    roles: str
    operations: tuple[Operation, ...]
    table: TableLayout | None = None
    remarks: Callable[[Plan], list[str]] = field(default=lambda plan: [])


def operations_of(systems: list[System]) -> dict[int, Operation]:
    """Return the operations of several systems by their code, which is unique among all."""
    return {operation.code: operation for system in systems for operation in system.operations}
