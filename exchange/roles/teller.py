"""A teller fed with lines, as a person types them (lecture: ``while (fgets(line, 80, stdin))``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.errors import UsageError
from common.options import option
from common.process.context import Context
from common.process.turns import Stop
from exchange import sheet
from exchange.desk import STEPS as DESK_STEPS
from exchange.desk import Desk
from exchange.layout import BALANCE
from exchange.lines import Line, parse

NEEDS_TABLE = True
STEPS = DESK_STEPS
BEGINS = "acquire"


@dataclass(frozen=True)
class Options:
    """What a teller can be told."""

    lines: list[str] = option(about="The lines of input, such as `buy EURO 10`.")
    balance: float = option(
        BALANCE, about="The private balance to begin with.", minimum=0, maximum=1e12
    )


def standard_input(options: Options) -> str:
    """Return what a program in this role reads (lecture: ``while (fgets(line, 80, stdin))``)."""
    return "".join(f"{line}\n" for line in options.lines)


def promised(options: Options, rows: Sequence[Sequence[float]]) -> tuple[list[float], float]:
    """Return what the lines make of each row's stock, and of the balance, if none is refused."""
    return sheet.promised(_orders(options), rows, options.balance)


def risks(
    options: Options, rows: Sequence[Sequence[float]], sold: Mapping[int, float], unknown: str
) -> dict[str, str]:
    """Return why a line may be refused, or not, as it happens (see :mod:`exchange.sheet`)."""
    found = sheet.risks(_orders(options), rows, options.balance, sold, unknown)
    return {f"lines.{number}": reason for number, reason in found.items()}


def most_sold(options: Options) -> dict[int, float]:
    """Return the most that this role may sell, by row."""
    return sheet.sold(_orders(options))


def _orders(options: Options) -> list[Line]:
    return [parse(line) for line in options.lines]


def check(options: Options) -> dict[str, str]:
    """Return what is wrong with the options, by field; the scenario's loader asks."""
    wrong = {}
    for number, line in enumerate(options.lines):
        try:
            parse(line)
        except UsageError as error:
            wrong[f"lines.{number}"] = str(error)
    return wrong


def records(options: Options) -> int:
    """Return how many records this role will write."""
    return len(options.lines)


def prepare(context: Context, options: Options) -> Callable[[], dict[str, Any]]:
    """Open the desk; returns what to do once the gate is open."""
    desk = Desk(context, options.balance)
    orders = [parse(line) for line in options.lines]

    def serve() -> dict[str, Any]:
        balances = []
        done = 0
        for sequence, order in enumerate(orders, start=1):
            try:
                done += desk.trade(order.buying, order.row, order.amount, sequence)
            except Stop:
                context.recorder.withdraw_last()
                break
            balances.append(desk.balance)
        return {"balance": desk.balance, "balances": balances, "done": done}

    return serve
