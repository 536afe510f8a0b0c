"""Writes orders to the desk and waits for the fill of each on a channel of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from common.errors import ProcessError
from common.options import option
from common.process.context import Context
from common.process.turns import Stop
from exchange import amounts, messages
from exchange.layout import ROWS
from exchange.operations import FILL, ORDER

STEPS = ("send", "receive")
BEGINS = "send"


@dataclass(frozen=True)
class Options:
    """What a client can be told."""

    orders: str = option(about="The channel to the desk.", channel="send", message=messages.SIZE)
    fills: str = option(
        about="The channel of the fills, one a client (`per: client`).", channel="answer",
        message=messages.SIZE,
    )  # fmt: skip
    count_orders: int = option(100, about="Orders to write.", minimum=1, maximum=10_000_000)
    sell_share: float = option(
        0.5, about="The share of sales among the orders.", minimum=0, maximum=1
    )
    largest: int = option(
        10, about="Amounts are 1 to this, plus a fraction.", minimum=1, maximum=1_000_000
    )
    currencies: list[str] = option(
        [], about="The currencies to trade in; all when empty.", choices=ROWS, maximum=len(ROWS)
    )


def records(options: Options) -> int:
    """Return how many records this role will write."""
    return 2 * options.count_orders


def prepare(context: Context, options: Options) -> Callable[[], dict[str, Any]]:
    """Open both channels; returns what to do once the gate is open."""
    orders = context.channel(options.orders, "send")
    fills = context.channel(options.fills, "receive")
    desk, own = context.channel_index(options.orders), context.channel_index(options.fills)
    clock, at = context.clock, context.at
    rows = amounts.row_numbers(options.currencies)

    def deal() -> dict[str, Any]:
        done = refused = sequence = 0
        for portion in amounts.portions(
            context.random, options.count_orders, rows, options.sell_share, options.largest
        ):
            for buying, row, amount in portion:
                if context.finishing:
                    return {"done": done, "refused": refused}
                if at is not None:
                    try:
                        at("send", orders.sending)
                    except Stop:
                        return {"done": done, "refused": refused}
                sequence += 1
                item = context.item(sequence)
                order = messages.Order(item, context.first_name, buying, row, False, amount, 0.0)
                asked = clock()
                cell = context.begin(ORDER, desk, item, asked, asked, amount)
                orders.send(messages.pack(order))
                context.end(cell, amount, 0.0, 0.0, 0.0, clock())
                if at is not None:
                    at("receive", fills.receiving)
                while True:
                    asked = clock()
                    answer = fills.receive()
                    if answer is None:
                        raise ProcessError(f"the desk closed before it answered order {sequence}")
                    fill = messages.unpack(answer)
                    cell = context.begin(FILL, own, fill.item, asked, asked, fill.amount)
                    # An answer to an order of the one in whose place this one was started.
                    late = context.life > 0 and not context.own(fill.item)
                    meant = fill.amount if late else amount if fill.item == item else 0.0
                    context.end(cell, meant, 0.0, 0.0, 0.0, clock())
                    done += fill.done
                    refused += not fill.done
                    if not late:
                        break
            context.progress(sequence)
        return {"done": done, "refused": refused}

    return deal
