"""The currency exchange of the lecture: a table of four rows, and tellers who share it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.system import System, TableLayout
from exchange.layout import BUY, FIELDS, INITIAL, ROWS, SELL
from exchange.operations import OPERATIONS

if TYPE_CHECKING:
    from common.scenario.plan import Plan


def remarks(plan: Plan) -> list[str]:
    """Say which rows lose an office money on every round trip (the lecture's numbers, kept)."""
    rows = plan.table.rows if plan.table else []
    names = [name for name, row in zip(ROWS, rows, strict=False) if row[SELL] <= row[BUY]]
    if not names:
        return []
    return [
        f"{', '.join(names)}: sell is not above buy, so an office loses on each round trip; "
        "these are the lecture's numbers, kept as they are"
    ]


SYSTEM = System(
    name="exchange",
    about="Tellers buy and sell four currencies on one shared table.",
    roles="exchange.roles",
    operations=OPERATIONS,
    table=TableLayout(ROWS, FIELDS, INITIAL, exact=("stock",)),
    remarks=remarks,
)
