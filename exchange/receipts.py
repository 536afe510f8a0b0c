"""A receipt for each trade, printed through the spooler."""

from __future__ import annotations

from collections.abc import Callable

from common.process.context import Context
from exchange.desk import Order
from exchange.layout import ROWS, WIDTH
from exchange.operations import RECEIPT
from spooler.messages import Job, offer

Printer = Callable[[Order, int], None]


def open_printer(context: Context, channel: str) -> Printer:
    """Return a function (order, sequence) that sends one receipt to ``channel``."""
    sender = context.channel(channel, "send")
    index = context.channel_index(channel)

    at = context.at

    def send(order: Order, sequence: int) -> None:
        verb = "buy" if order.buying else "sell"
        text = f"{verb:<5}{ROWS[order.stock // WIDTH]:<8}{order.amount:>13.6f}"
        job = Job(text.encode(), 0, 1, context.item(sequence))
        if at is not None:
            at("send", sender.sending)
        offer(context, sender, index, RECEIPT, job)

    return send
