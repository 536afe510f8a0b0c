"""A teller who buys and sells at random, as fast as the declared delays allow."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from common.options import option
from common.process.context import Context
from common.process.turns import Stop
from common.system import Asked
from exchange import amounts, receipts
from exchange.desk import STEPS as DESK_STEPS
from exchange.desk import Batch, Desk, order
from exchange.layout import BALANCE, ROWS
from exchange.locking import MODES, PROPER
from spooler.messages import SIZE as JOB_SIZE

NEEDS_TABLE = True
ENDLESS = "operations"
STEPS = DESK_STEPS
BEGINS = "acquire"

# Trades done between two looks at whether to finish.
PIECE = 256


@dataclass(frozen=True)
class Options:
    """What a trader can be told."""

    operations: int = option(
        400, about="Trades to try; 0 means until the run is told to finish.", minimum=0,
        maximum=100_000_000,
    )  # fmt: skip
    sell_share: float = option(
        0.5, about="The share of sales among the trades.", minimum=0, maximum=1
    )
    largest: int = option(
        10, about="Amounts are 1 to this, plus a fraction.", minimum=1, maximum=1_000_000
    )
    currencies: list[str] = option(
        [], about="The currencies to trade in; all when empty.", choices=ROWS, maximum=len(ROWS)
    )
    balance: float = option(
        BALANCE, about="The private balance to begin with.", minimum=0, maximum=1e12
    )
    locking: str = option(
        PROPER,
        about="How it uses the table's lock: as it should, or broken in a way that people do.",
        choices=MODES,
    )
    receipts: str = option(
        "", about="The channel to print a receipt for each trade through.", channel="send",
        message=JOB_SIZE,
    )  # fmt: skip


def most_sold(options: Options) -> dict[int, float]:
    """Return more than this role can sell, by row; without end where it works without end."""
    if not options.sell_share:
        return {}
    most = float(options.operations or float("inf")) * (options.largest + 1)
    return dict.fromkeys(amounts.row_numbers(options.currencies), most)


def asked(options: Options) -> Asked:
    """Return what this role is to do, for whoever grades a program that takes it."""
    rows = amounts.row_numbers(options.currencies)
    buys, sells = options.sell_share < 1, options.sell_share > 0
    return Asked(options.operations, rows, 1.0, options.largest + 1.0, buys, sells)


def records(options: Options) -> int:
    """Return how many records this role will write, as far as it is known."""
    return options.operations * (2 if options.receipts else 1) or 1024


def prepare(context: Context, options: Options) -> Callable[[], dict[str, Any]]:
    """Open the desk and declare the first trades; returns what to do once the gate is open."""
    desk = Desk(context, options.balance, options.locking)
    printer = receipts.open_printer(context, options.receipts) if options.receipts else None
    # With receipts each trade is declared by itself: a receipt's record comes between two of them.
    # Under a schedule a trader can be told to stop before any trade.
    piece = 1 if printer is not None or context.turns is not None else PIECE
    drawn = amounts.portions(
        context.random,
        options.operations,
        amounts.row_numbers(options.currencies),
        options.sell_share,
        options.largest,
    )
    batches = _batches(desk, drawn, context.item(1), piece=1 if printer is not None else 0)
    coming = itertools.chain([next(batches)], batches)

    def trade() -> dict[str, Any]:
        done = tried = 0
        for batch in coming:
            for part in batch.pieces(piece):
                try:
                    count = None if context.finishing else desk.deal(part)
                except Stop:
                    count = None
                if count is None:
                    context.recorder.withdraw(part.declared.start)
                    return {"balance": desk.balance, "done": done}
                done += count
                tried += len(part.orders)
                if printer is not None and count:
                    printer(part.orders[0], tried)
            context.progress(tried)
        return {"balance": desk.balance, "done": done}

    return trade


def _batches(
    desk: Desk, drawn: Iterator[list[amounts.Draw]], first_item: int, piece: int
) -> Iterator[Batch]:
    item = first_item
    for portion in drawn:
        orders = [order(*draw) for draw in portion]
        size = piece or len(orders)
        for at in range(0, len(orders), size):
            yield from desk.declare(orders[at : at + size], item + at)
        item += len(orders)
