"""A teller who turns one currency into another, and holds the locks of both rows meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from common.history import record
from common.kernel.locks import Lock
from common.kernel.touch import Touch
from common.options import option
from common.process.context import Context
from common.process.turns import Stop
from common.system import GRAIN
from exchange import amounts
from exchange.layout import BALANCE, ROWS, STOCK, WIDTH
from exchange.layout import BUY as BUY_RATE
from exchange.layout import SELL as SELL_RATE
from exchange.operations import BUY, SELL

NEEDS_TABLE = True
# It holds two locks at once: one for the whole table would be waited for by its own holder.
NEEDS_ROW_LOCKS = True
ENDLESS = "operations"
STEPS = ("acquire", "check", "read", "write", "release")
BEGINS = "acquire"

GIVEN, SORTED, AT_ONCE = "given", "sorted", "at_once"


@dataclass(frozen=True)
class Options:
    """What a converter can be told."""

    sells: str = option("DOLLAR", about="The currency to sell.", choices=ROWS)
    buys: str = option("EURO", about="The currency to buy for the proceeds.", choices=ROWS)
    operations: int = option(
        100, about="Conversions to try; 0 means until told to finish.", minimum=0,
        maximum=10_000_000,
    )  # fmt: skip
    largest: int = option(
        10, about="Amounts are 1 to this, plus a fraction.", minimum=1, maximum=1_000_000
    )
    order: str = option(
        SORTED,
        about="Which lock it takes first: that of what it sells, or in the order of the rows; "
        "or both at once, where the lock can (semop(2) on a set).",
        choices=(GIVEN, SORTED, AT_ONCE),
    )
    balance: float = option(
        BALANCE, about="The private balance to begin with.", minimum=0, maximum=1e12
    )


def check(options: Options) -> dict[str, str]:
    """Return what is wrong with the options, by field; the scenario's loader asks."""
    return {"buys": "is what it sells"} if options.buys == options.sells else {}


def takes_at_once(options: Options) -> bool:
    """Say whether it needs a lock that takes several rows at once; the scenario's loader asks."""
    return options.order == AT_ONCE


def records(options: Options) -> int:
    """Return how many records this role will write, as far as it is known."""
    return 2 * options.operations or 1024


def prepare(context: Context, options: Options) -> Callable[[], dict[str, Any]]:
    """Open table and locks; returns what to do once the gate is open."""
    rows = [ROWS.index(options.sells), ROWS.index(options.buys)]
    if takes_at_once(options):
        locks = [context.table_locks_at_once(rows)]
    else:
        order = sorted(rows) if options.order == SORTED else rows
        locks = [context.table_lock(row) for row in order]
    both = _Both(context, rows, options.balance)
    drawn = amounts.portions(context.random, options.operations, rows[:1], 1.0, options.largest)

    def convert() -> dict[str, Any]:
        tried = 0
        for portion in drawn:
            for _, _, amount in portion:
                try:
                    asked = 0 if context.finishing else _take(context, locks)
                except Stop:
                    asked = 0
                if not asked:
                    return {"balance": both.balance, "done": both.done}
                item = context.item(2 * tried + 1)
                proceeds = both.sell(asked, item, amount)
                if proceeds is not None:
                    both.buy(asked, item + 1, proceeds)
                _give(context, locks)
                tried += 1
            context.progress(tried)
        return {"balance": both.balance, "done": both.done}

    return convert


class _Both:
    """The two rows, used by whoever holds the locks of both, and a private ``balance``.

    ``done`` counts the sales and purchases that were not refused.
    """

    def __init__(self, context: Context, rows: list[int], balance: float) -> None:
        self.balance = balance
        self.done = 0
        self._context = context
        self._cells = context.table().cells
        self._rows = rows
        held = [context.lock_number(row) for row in rows]
        self._held = [
            number * (record.HELD_FIRST + record.HELD_LAST) // record.OBJECT for number in held
        ]
        names = [ROWS[row] for row in rows]
        self._reads = [Touch(reads=(f"{name}.stock",)) for name in names]
        self._writes = [Touch(changes=(f"{name}.stock",)) for name in names]
        self._checks = (
            Touch(reads=(f"{names[0]}.stock", f"{names[0]}.sell")),
            Touch(reads=(f"{names[1]}.buy",)),
        )

    def sell(self, asked: int, item: int, amount: float) -> float | None:
        """Sell ``amount``; returns the proceeds, or None when the stock is too small."""
        context, cells, at, row = self._context, self._cells, self._context.at, self._rows[0]
        entered = context.clock()
        cell = context.begin(SELL, self._held[0] + row, item, asked, entered, amount)
        if at is not None:
            at("check", self._checks[0])
        checked = cells[row * WIDTH + STOCK]
        if checked < amount:
            context.recorder.refuse(cell)
            context.end(cell, checked, 0.0, 0.0, 0.0, context.clock())
            return None
        rate = cells[row * WIDTH + SELL_RATE]
        read, written = self._change(0, -amount)
        self.balance += amount * rate
        context.end(cell, checked, rate, read, written, context.clock())
        return amount * rate

    def buy(self, asked: int, item: int, proceeds: float) -> None:
        """Buy as much as ``proceeds`` are worth, if the balance allows that."""
        context, at, row = self._context, self._context.at, self._rows[1]
        entered = context.clock()
        if at is not None:
            at("check", self._checks[1])
        rate = self._cells[row * WIDTH + BUY_RATE]
        amount = max(1, int(proceeds / rate / GRAIN)) * GRAIN
        cell = context.begin(BUY, self._held[1] + row, item, asked, entered, amount)
        if self.balance < amount * rate:
            context.recorder.refuse(cell)
            context.end(cell, rate, 0.0, 0.0, 0.0, context.clock())
            return
        self.balance -= amount * rate
        read, written = self._change(1, amount)
        context.end(cell, rate, rate, read, written, context.clock())

    def _change(self, which: int, amount: float) -> tuple[float, float]:
        """Read and write one stock; returns both values."""
        cells, at = self._cells, self._context.at
        cell = self._rows[which] * WIDTH + STOCK
        if at is not None:
            at("read", self._reads[which])
        read = cells[cell]
        written = read + amount
        if at is not None:
            at("write", self._writes[which])
        cells[cell] = written
        self.done += 1
        return read, written


def _take(context: Context, locks: list[Lock]) -> int:
    """Take the locks one after the other; returns when the first was asked for (ns)."""
    asked = 0
    for lock in locks:
        if context.at is not None:
            context.at("acquire", lock.taking)
        asked = asked or context.clock()
        lock.acquire()
    return asked


def _give(context: Context, locks: list[Lock]) -> None:
    for lock in reversed(locks):
        if context.at is not None:
            context.at("release", lock.giving)
        lock.release()
