"""A line of a teller's input: ``buy EURO 10``, ``sell POUND 100``."""

from __future__ import annotations

from typing import NamedTuple

from common.errors import UsageError
from common.kinds import nearest
from common.system import LARGEST_EXACT
from exchange.layout import ROWS

VERBS = ("buy", "sell")
LARGEST = int(LARGEST_EXACT)


class Line(NamedTuple):
    """One order: ``buying`` or selling, the row of the currency, and a whole amount."""

    buying: bool
    row: int
    amount: float


def parse(text: str) -> Line:
    """Return the order that ``text`` gives; raises ``UsageError`` naming what is wrong with it.

    Amounts are whole numbers from 1 to 4,194,304: the lecture's programs take ``nan`` and negative
    amounts, and after that the stock is wrong for everybody.
    """
    words = text.split()
    if len(words) != 3:
        raise UsageError(f"{text!r} is not an order", "write: buy EURO 10, or: sell POUND 100")
    verb, currency, number = words
    if verb.lower() not in VERBS:
        raise UsageError(f"{verb!r} is not something to do", nearest(verb, VERBS))
    if currency.upper() not in ROWS:
        raise UsageError(f"{currency!r} is not a currency of this office", nearest(currency, ROWS))
    if not (number.isascii() and number.isdigit()) or not 1 <= int(number[:9]) <= LARGEST:
        raise UsageError(
            f"{number!r} is not an amount", f"a whole number from 1 to {LARGEST}, such as 10"
        )
    return Line(verb.lower() == "buy", ROWS.index(currency.upper()), float(int(number)))
