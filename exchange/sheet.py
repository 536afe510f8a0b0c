"""What a teller's lines come to when none is refused, and whether one might be.

Amounts are whole numbers, so sums of them are exact in a double, in any order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from exchange.layout import BUY, ROWS, SELL, STOCK
from exchange.lines import Line

Rows = Sequence[Sequence[float]]


def promised(lines: Sequence[Line], rows: Rows, balance: float) -> tuple[list[float], float]:
    """Return by how much each row's stock changes, and the balance in the end.

    The balance follows the lecture's float operations in their order.
    """
    changes = [0.0] * len(rows)
    for line in lines:
        if line.buying:
            changes[line.row] += line.amount
            balance -= line.amount * rows[line.row][BUY]
        else:
            changes[line.row] -= line.amount
            balance += line.amount * rows[line.row][SELL]
    return changes, balance


def sold(lines: Sequence[Line]) -> dict[int, float]:
    """Return what the lines sell, by row."""
    found: dict[int, float] = {}
    for line in lines:
        if not line.buying:
            found[line.row] = found.get(line.row, 0.0) + line.amount
    return found


def risks(
    lines: Sequence[Line], rows: Rows, balance: float, most: Mapping[int, float], unknown: str
) -> dict[int, str]:
    """Return by the number of the line why it may be refused.

    ``most`` is what all tellers together may sell of each row, this one included; ``unknown`` names
    who sells nobody knows how much. A purchase depends on the private balance alone.
    """
    found: dict[int, str] = {}
    for number, line in enumerate(lines):
        row, name = rows[line.row], ROWS[line.row]
        if line.buying:
            price = line.amount * row[BUY]
            if balance < price:
                found[number] = (
                    f"it costs {price:g}, and the balance is {balance:g} by then: it is refused"
                )
                continue
            balance -= price
            continue
        balance += line.amount * row[SELL]
        if unknown:
            found[number] = f"nobody can tell how much {unknown} sells, so it may be refused"
        elif most.get(line.row, 0.0) > row[STOCK]:
            found[number] = (
                f"up to {most[line.row]:g} {name} are sold of {row[STOCK]:g} that are there at "
                "first, so a sale may be refused, or not, as it happens"
            )
    return found
