"""Changes both rates of a row, one after the other, as an office does when the market moves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from common.history import record
from common.kernel.touch import Touch
from common.options import option
from common.process.context import Context
from common.process.turns import Stop
from exchange.layout import BUY, ROWS, SELL, WIDTH
from exchange.operations import SET_RATES

NEEDS_TABLE = True
CHANGES_RATES = True
ENDLESS = "changes"
STEPS = ("acquire", "write", "release")
BEGINS = "acquire"

# Every pair of rates is one that no other change writes: a step of this much, up and up.
STEP = 2.0**-20


@dataclass(frozen=True)
class Options:
    """What a rate setter can be told."""

    changes: int = option(
        400, about="Changes to make; 0 means until told to finish.", minimum=0, maximum=1_000_000
    )
    currency: str = option("DOLLAR", about="The row to change.", choices=ROWS)


def records(options: Options) -> int:
    """Return how many records this role will write, as far as it is known."""
    return options.changes or 1024


def prepare(context: Context, options: Options) -> Callable[[], dict[str, Any]]:
    """Open the table; returns what to do once the gate is open."""
    cells = context.table().cells
    clock, at = context.clock, context.at
    row = ROWS.index(options.currency)
    lock = context.table_lock(row)
    held = context.lock_number(row) * (record.HELD_FIRST + record.HELD_LAST) // record.OBJECT
    writes_sell = Touch(changes=(f"{options.currency}.sell",))
    writes_buy = Touch(changes=(f"{options.currency}.buy",))
    base = row * WIDTH
    sell, buy = cells[base + SELL], cells[base + BUY]
    recovery = context.recovery

    def change() -> dict[str, Any]:
        done = 0
        while not context.finishing and (done < options.changes or not options.changes):
            if at is not None:
                try:
                    at("acquire", lock.taking)
                except Stop:
                    break
            done += 1
            new_sell, new_buy = sell + done * STEP, buy + done * STEP
            asked = clock()
            lock.acquire()
            cell = context.begin(SET_RATES, held + row, 0, asked, clock(), new_sell)
            if recovery is not None:
                changes = (base + SELL, new_sell), (base + BUY, new_buy)
                recovery.intend(SET_RATES, 0, [(at_, cells[at_], new) for at_, new in changes])
            if at is not None:
                at("write", writes_sell)
            cells[base + SELL] = new_sell
            if at is not None:
                at("write", writes_buy)
            cells[base + BUY] = new_buy
            if recovery is not None:
                recovery.commit()
            context.end(cell, new_buy, 0.0, 0.0, 0.0, clock())
            if at is not None:
                at("release", lock.giving)
            lock.release()
        return {"changes": done}

    return change
