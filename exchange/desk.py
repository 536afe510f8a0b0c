"""One teller's two operations, with exactly the lecture's accesses to the shared row.

To buy reads the rate for its check and again for the change, then reads and writes the stock. To
sell reads the stock for its check and *again* for the subtraction, and writes it: the gap between
the two reads is why an unlocked stock goes negative (lecture: "Shared memory example: Currency
Exchange" and "Integrity of shared variables may be violated").
"""

from __future__ import annotations

import functools
import struct
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from common.history import record
from common.history.recorder import Declared
from common.kernel.touch import Touch
from common.process.context import Context
from exchange.layout import BUY as BUY_RATE
from exchange.layout import FIELDS, ROWS, STOCK, WIDTH
from exchange.layout import SELL as SELL_RATE
from exchange.locking import PROPER, Guard, guards
from exchange.operations import BUY, SELL

_KIND = struct.Struct("@d")
_HEAD = struct.Struct("@2d")

STEPS = ("acquire", "check", "read", "write", "release")


class Order(NamedTuple):
    """A trade to do, with the cells of the table that it uses."""

    buying: bool
    rate: int
    stock: int
    amount: float


def order(buying: bool, row: int, amount: float) -> Order:
    """Return the order to buy or sell ``amount`` of ``row``."""
    base = row * WIDTH
    return Order(buying, base + (BUY_RATE if buying else SELL_RATE), base + STOCK, amount)


class Batch(NamedTuple):
    """Orders that stand in the history, declared and not yet done."""

    declared: Declared
    orders: Sequence[Order]

    def pieces(self, size: int) -> Iterator[Batch]:
        """Yield the batch in pieces of at most ``size`` orders."""
        view, start = self.declared
        for at in range(0, len(self.orders), size):
            piece = Declared(view, start + at * record.RECORD_SIZE)
            yield Batch(piece, self.orders[at : at + size])


class Desk:
    """A teller's desk on the shared table, with a private ``balance``.

    ``locking`` says how the teller uses the table's locks (see :mod:`exchange.locking`).
    """

    def __init__(self, context: Context, balance: float, locking: str = PROPER) -> None:
        self.balance = balance
        self._cells = context.table().cells
        self._guards = guards(context, locking)
        self._recorder = context.recorder
        self._recovery = context.recovery
        self._touches = None if context.at is None else _touches()

    def declare(self, orders: Sequence[Order], first_item: int) -> Iterator[Batch]:
        """Declare orders in the history, items counting from ``first_item``; yields batches."""
        done = 0
        while done < len(orders):
            part = orders[done : done + self._recorder.reserve()]
            kinds = [
                self._guards[order.stock // WIDTH].held
                + (BUY if order.buying else SELL)
                + order.stock // WIDTH * record.OBJECT
                for order in part
            ]
            items = range(first_item + done, first_item + done + len(part))
            amounts = [order.amount for order in part]
            yield Batch(self._recorder.declare(kinds, items, amounts), part)
            done += len(part)

    def trade(self, buying: bool, row: int, amount: float, item: int) -> bool:
        """Do one trade; returns whether its own check let it."""
        (batch,) = self.declare([order(buying, row, amount)], item)
        return self.deal(batch) == 1

    def deal(self, batch: Batch) -> int:
        """Do the orders of a batch, in order; returns how many were not refused.

        Raises ``WaitExpired`` and ``ObjectVanished`` of the table's lock.
        """
        first = self._guards[0]
        if all(guard is first for guard in self._guards):
            return self._deal(batch, first)
        # Each row has a lock of its own, and with it each order.
        return sum(
            self._deal(single, self._guards[single.orders[0].stock // WIDTH])
            for single in batch.pieces(1)
        )

    def _deal(self, batch: Batch, guard: Guard) -> int:
        # Everything that the loop uses is a local name: it is measured against a bare loop of the
        # same accesses.
        cells, balance, clock = self._cells, self.balance, time.monotonic
        take, busy, stand, give, errors, explain = guard.quick
        at, touches = guard.at, self._touches
        intend = commit = None
        if self._recovery is not None:
            intend, commit = self._intend, self._recovery.commit
        view, start = batch.declared
        complete, width = record.END.pack_into, record.RECORD_SIZE
        start += record.END_OFFSET
        refused = 0
        slots = range(start, start + len(batch.orders) * width, width)
        try:
            for slot, (buying, rate_cell, stock_cell, amount) in zip(
                slots, batch.orders, strict=True
            ):
                if at is not None:
                    at("acquire", guard.taking)
                asked = 0.0
                if take is not None:
                    try:
                        take()
                    except busy:
                        # Only who has to wait has a time from which it waited.
                        asked = clock()
                        stand()
                entered = clock()
                if at is not None and touches is not None:
                    at("check", touches.check(buying, rate_cell, stock_cell))
                if buying:
                    checked = cells[rate_cell]
                    if balance >= amount * checked:
                        rate = cells[rate_cell]
                        balance -= amount * rate
                        if at is not None and touches is not None:
                            at("read", touches.reads[stock_cell])
                        read = cells[stock_cell]
                        written = read + amount
                        if intend is not None:
                            intend(view, slot, stock_cell, read, written)
                        if at is not None and touches is not None:
                            at("write", touches.changes[stock_cell])
                        cells[stock_cell] = written
                        if commit is not None:
                            commit()
                    else:
                        refused += 1
                        rate = read = written = refuse(view, slot)
                else:
                    checked = cells[stock_cell]
                    if checked >= amount:
                        rate = cells[rate_cell]
                        balance += amount * rate
                        if at is not None and touches is not None:
                            at("read", touches.reads[stock_cell])
                        read = cells[stock_cell]
                        written = read - amount
                        if intend is not None:
                            intend(view, slot, stock_cell, read, written)
                        if at is not None and touches is not None:
                            at("write", touches.changes[stock_cell])
                        cells[stock_cell] = written
                        if commit is not None:
                            commit()
                    else:
                        refused += 1
                        rate = read = written = refuse(view, slot)
                left = clock()
                if at is not None:
                    at("release", guard.giving)
                if give is not None:
                    give()
                # Outside the critical section, so that recording makes nobody wait.
                complete(view, slot, asked or entered, entered, checked, rate, read, written, left)
        except errors as error:
            raise explain(error) from None
        finally:
            self.balance = balance
        return len(batch.orders) - refused

    def _intend(self, view: memoryview, slot: int, cell: int, old: float, new: float) -> None:
        """Say what the trade whose record ends at ``slot`` is about to change."""
        assert self._recovery is not None
        kind, item = _HEAD.unpack_from(view, slot - record.END_OFFSET)
        self._recovery.intend(int(kind) % record.OBJECT, int(item), ((cell, old, new),))


@functools.cache
def _touches() -> _Touches:
    return _Touches()


class _Touches:
    """What each access of a trade touches, by the cells of the table."""

    def __init__(self) -> None:
        names = [f"{row}.{field}" for row in ROWS for field in FIELDS]
        self._names = names
        self.reads = [Touch(reads=(name,)) for name in names]
        self.changes = [Touch(changes=(name,)) for name in names]
        self._checks: dict[int, Touch] = {}

    def check(self, buying: bool, rate: int, stock: int) -> Touch:
        """Return what the check touches, and the look at the rate that goes with it."""
        if buying:
            return self.reads[rate]
        if stock not in self._checks:
            self._checks[stock] = Touch(reads=(self._names[stock], self._names[rate]))
        return self._checks[stock]


def refuse(view: memoryview, slot: int) -> float:
    """Mark the record that ends at ``slot`` as turned down; returns 0, its void values."""
    start = slot - record.END_OFFSET
    (kind,) = _KIND.unpack_from(view, start)
    _KIND.pack_into(view, start, kind + record.REFUSED)
    return 0.0
