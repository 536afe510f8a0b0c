"""Somebody who knows nothing of locks writes into the table, as a foreign program would.

One number of one row is set, between two steps of a process or at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common import kinds
from common.errors import KernelObjectError
from common.options import option

if TYPE_CHECKING:
    from common.process.faults import Scene
    from common.process.members import Member

STRIKES = False


@dataclass(frozen=True)
class Options:
    """Which number, and what it becomes."""

    row: int = option(0, about="The number of the row, from 0.", minimum=0, maximum=1000)
    field: int = option(2, about="The number of the field in it, from 0.", minimum=0, maximum=100)
    value: float = option(0.0, about="What is written.", minimum=-1e300, maximum=1e300)


def check(options: Options, values: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with it."""
    return {} if "table" in values else {"": "there is no table to write into"}


def strike(options: Options, scene: Scene, member: Member | None) -> float | None:
    """Write it; raises ``KernelObjectError`` where the table has no such number."""
    table = scene.plan.table
    assert table is not None
    if options.row >= len(table.rows) or options.field >= len(table.rows[0]):
        raise KernelObjectError(f"the table has no field {options.field} in row {options.row}")
    place = scene.addresses["table"]
    memory = kinds.load(kinds.TABLES, place["kind"]).attach(place["memory"])
    cell = options.row * len(table.rows[0]) + options.field
    scene.note(row=table.names[options.row], found=memory.cells[cell], written=options.value)
    memory.cells[cell] = options.value
    memory.close()
    return 0.0
