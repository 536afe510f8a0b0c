"""A teller who turns one currency into another, and holds what guards both rows meanwhile."""

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
from common.system import GRAIN, LARGEST_EXACT
from exchange import amounts
from exchange.layout import BALANCE, ROWS, STOCK, WIDTH
from exchange.layout import BUY as BUY_RATE
from exchange.layout import SELL as SELL_RATE
from exchange.operations import BUY, SELL

NEEDS_TABLE = True
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
    locks = _locks(context, rows, options.order)
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
                both.convert(asked, context.item(2 * tried + 1), amount)
                _give(context, locks)
                tried += 1
            context.progress(tried)
        return {"balance": both.balance, "done": both.done}

    return convert


class _Both:
    """The two rows, used by whoever holds what guards them both, and a private ``balance``.

    ``done`` counts the sales and purchases that were not refused. Both halves of a conversion are
    declared before the first one is written: who dies between them leaves a purchase in flight.
    """

    def __init__(self, context: Context, rows: list[int], balance: float) -> None:
        self.balance = balance
        self.done = 0
        self._context = context
        self._recovery = context.recovery
        self._cells = context.table().cells
        self._rows = rows
        self._stocks = [row * WIDTH + STOCK for row in rows]
        held = [context.lock_number(row) for row in rows]
        self._held = [
            number * (record.HELD_FIRST + record.HELD_LAST) // record.OBJECT for number in held
        ]
        names = [ROWS[row] for row in rows]
        self._reads = [Touch(reads=(f"{name}.stock",)) for name in names]
        self._writes = [Touch(changes=(f"{name}.stock",)) for name in names]
        self._checks = (
            Touch(reads=(f"{names[0]}.stock", f"{names[0]}.sell", f"{names[1]}.buy")),
            Touch(reads=(f"{names[1]}.buy",)),
        )

    def convert(self, asked: int, item: int, amount: float) -> None:
        """Sell ``amount`` if the stock allows it, and buy for the proceeds what they are worth."""
        context, cells, at, row = self._context, self._cells, self._context.at, self._rows[0]
        sale = context.begin(SELL, self._held[0] + row, item, asked, context.clock(), amount)
        if at is not None:
            at("check", self._checks[0])
        checked = cells[self._stocks[0]]
        if checked < amount:
            context.recorder.refuse(sale)
            context.end(sale, checked, 0.0, 0.0, 0.0, context.clock())
            return
        rate = cells[row * WIDTH + SELL_RATE]
        proceeds = amount * rate
        price = cells[self._rows[1] * WIDTH + BUY_RATE]
        bought = _worth(proceeds, price)
        place = self._held[1] + self._rows[1] + record.SECOND_HALF // record.OBJECT
        purchase = context.begin(BUY, place, item + 1, asked, context.clock(), bought)
        affordable = self.balance + proceeds >= bought * price
        read, written = self._change(0, -amount, item, bought if affordable else None)
        self.balance += proceeds
        context.end(sale, checked, rate, read, written, context.clock())
        self._buy(purchase, bought)
        if self._recovery is not None:
            self._recovery.commit()

    def _buy(self, cell: int, amount: float) -> None:
        """Do the second half, whose record is at ``cell``, if the balance allows it."""
        context, at = self._context, self._context.at
        context.recorder.enter(cell, context.clock())
        if at is not None:
            at("check", self._checks[1])
        rate = self._cells[self._rows[1] * WIDTH + BUY_RATE]
        if self.balance < amount * rate:
            context.recorder.refuse(cell)
            context.end(cell, rate, 0.0, 0.0, 0.0, context.clock())
            return
        self.balance -= amount * rate
        read, written = self._change(1, amount)
        context.end(cell, rate, rate, read, written, context.clock())

    def _change(
        self, which: int, amount: float, item: int = 0, then: float | None = None
    ) -> tuple[float, float]:
        """Read and write one stock; returns both values.

        For the first half ``then`` is what the second one will add, None if it will be refused.
        """
        cells, at, cell = self._cells, self._context.at, self._stocks[which]
        if at is not None:
            at("read", self._reads[which])
        read = cells[cell]
        written = read + amount
        if self._recovery is not None and not which:
            changes = [(cell, read, written)]
            if then is not None:
                other = cells[self._stocks[1]]
                changes.append((self._stocks[1], other, other + then))
            self._recovery.intend(SELL, item, changes)
        if at is not None:
            at("write", self._writes[which])
        cells[cell] = written
        self.done += 1
        return read, written


def _worth(proceeds: float, price: float) -> float:
    """Return how much ``proceeds`` are worth at a price, in whole grains: one at least."""
    most = int(LARGEST_EXACT / GRAIN)
    grains = proceeds / price / GRAIN if price else most
    return max(1, int(min(grains, most))) * GRAIN


def _locks(context: Context, rows: list[int], order: str) -> list[Lock]:
    """Return the locks to take, in this order: one where it guards the whole table."""
    first, second = (context.table_lock(row) for row in rows)
    if first is second:
        return [first]
    if order == AT_ONCE:
        return [context.table_locks_at_once(rows)]
    return [context.table_lock(row) for row in (sorted(rows) if order == SORTED else rows)]


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
