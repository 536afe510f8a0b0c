"""Trades by remote procedure call: an office does it, and the answer may never come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from common.options import option
from common.process.context import Context
from common.process.turns import Stop
from exchange import amounts, remote
from exchange.layout import ROWS
from exchange.operations import FILL, ORDER

STEPS = ("send", "receive")
BEGINS = "send"


@dataclass(frozen=True)
class Options:
    """What a caller can be told."""

    calls: str = option(
        about="The channel to the offices; its kind must carry answers back.", channel="call",
        message=remote.SIZE,
    )  # fmt: skip
    operations: int = option(100, about="Calls to make.", minimum=1, maximum=10_000_000)
    retry: str = option(
        remote.NEVER,
        about="What it does when nobody answers: nothing, the same call again, or again with the "
        "key of the first try.",
        choices=remote.RETRIES,
    )
    attempts: int = option(5, about="How often one call is tried.", minimum=1, maximum=1000)
    sell_share: float = option(
        0.5, about="The share of sales among the calls.", minimum=0, maximum=1
    )
    largest: int = option(
        10, about="Amounts are 1 to this, plus a fraction.", minimum=1, maximum=1_000_000
    )
    currencies: list[str] = option(
        [], about="The currencies to trade in; all when empty.", choices=ROWS, maximum=len(ROWS)
    )


def records(options: Options) -> int:
    """Return how many records this role will write."""
    return 2 * options.operations


def prepare(context: Context, options: Options) -> Callable[[], dict[str, Any]]:
    """Open the line; returns what to do once the gate is open."""
    line = cast(remote.Line, context.channel(options.calls, "send"))
    index = context.channel_index(options.calls)
    stub = remote.Stub(line, context.at, options.retry, options.attempts)
    clock, at = context.clock, context.at
    rows = amounts.row_numbers(options.currencies)

    def call() -> dict[str, Any]:
        done = refused = unknown = sequence = 0
        for portion in amounts.portions(
            context.random, options.operations, rows, options.sell_share, options.largest
        ):
            for buying, row, amount in portion:
                try:
                    if at is not None:
                        at("send", line.sending)
                except Stop:
                    break
                if context.finishing:
                    break
                sequence += 1
                item = context.item(sequence)
                asked = clock()
                cell = context.begin(ORDER, index, item, asked, asked, amount)
                context.end(cell, amount, 0.0, 0.0, 0.0, clock())
                outcome = stub.trade(remote.Call(item, buying, row, amount, ""))
                if outcome is None:
                    unknown += 1
                    continue
                cell = context.begin(FILL, index, item, asked, asked, amount)
                context.end(cell, amount, 0.0, 0.0, 0.0, clock())
                done += outcome
                refused += not outcome
            else:
                context.progress(sequence)
                continue
            break
        return {"done": done, "refused": refused, "unknown": unknown, "retried": stub.retried}

    return call
