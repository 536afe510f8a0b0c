"""Random trades from a process's own seed, each amount unlike any other of the run."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

from common.system import GRAIN
from exchange.layout import ROWS

# Trades are drawn in portions, so that a long run needs no more memory than a short one.
PORTION = 65536


def row_numbers(names: list[str]) -> list[int]:
    """Return the rows of the named currencies; all rows for an empty list."""
    return [ROWS.index(name) for name in names] or list(range(len(ROWS)))


class Draw(NamedTuple):
    """A trade that was drawn."""

    buying: bool
    row: int
    amount: float


def draw(
    source: random.Random, count: int, rows: list[int], sell_share: float, largest: int
) -> list[Draw]:
    """Return ``count`` trades.

    An amount is a whole number up to ``largest`` plus a random fraction in multiples of 2**-30:
    the fraction names the operation in every later value of the stock.
    """
    choose, chance, bits = source.choice, source.random, source.getrandbits
    return [
        Draw(
            chance() >= sell_share,
            choose(rows),
            1 + int(chance() * largest) + (bits(30) | 1) * GRAIN,
        )
        for _ in range(count)
    ]


def portions(
    source: random.Random, count: int, rows: list[int], sell_share: float, largest: int
) -> Iterator[list[Draw]]:
    """Yield ``count`` trades in portions; one by one and without end when ``count`` is 0."""
    left = count
    while left or not count:
        size = min(left, PORTION) if count else 1
        yield draw(source, size, rows, sell_share, largest)
        left -= size if count else 0
