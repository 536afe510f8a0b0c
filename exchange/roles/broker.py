"""Takes orders from the desk, executes them on the table, and sends each client its fill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from common.kernel.channels import Channel
from common.options import option
from common.process.context import Context
from exchange import messages
from exchange.desk import STEPS as DESK_STEPS
from exchange.desk import Desk
from exchange.layout import BALANCE
from exchange.operations import TAKE_ORDER

NEEDS_TABLE = True
STEPS = (*DESK_STEPS, "receive", "send")


@dataclass(frozen=True)
class Options:
    """What a broker can be told."""

    orders: str = option(about="The channel of the desk.", channel="receive", message=messages.SIZE)
    fills: str = option(
        about="The channel of the fills, one a client (`per: client`).", channel="send",
        message=messages.SIZE,
    )  # fmt: skip
    balance: float = option(
        BALANCE, about="The private balance to begin with.", minimum=0, maximum=1e12
    )


def records(options: Options) -> int:
    """Return how many records this role will write, as far as it is known."""
    return 1024


def prepare(context: Context, options: Options) -> Callable[[], dict[str, Any]]:
    """Open the desk and the channel; returns what to do once the gate is open."""
    desk = Desk(context, options.balance)
    orders = context.channel(options.orders, "receive")
    index = context.channel_index(options.orders)
    clock, at = context.clock, context.at
    clients = context.addresses["channels"][options.fills]["at"]
    answers: dict[str, Channel] = {}

    def serve() -> dict[str, Any]:
        done = answered = 0
        while True:
            if at is not None:
                at("receive", orders.receiving)
            asked = clock()
            message = orders.receive()
            if message is None:
                return {"balance": desk.balance, "done": done, "answered": answered}
            order = messages.unpack(message)
            cell = context.begin(TAKE_ORDER, index, order.item, asked, asked, order.amount)
            context.end(cell, order.amount, 0.0, 0.0, 0.0, clock())
            answered += 1
            if order.client not in clients:
                # Somebody else put it there: it is nobody's order.
                continue
            executed = desk.trade(order.buying, order.row, order.amount, order.item)
            done += executed
            if order.client not in answers:
                answers[order.client] = context.channel(options.fills, "send", order.client)
            if at is not None:
                at("send", answers[order.client].sending)
            answers[order.client].send(messages.pack(order._replace(done=executed)))

    return serve
