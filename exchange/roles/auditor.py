"""Reads whole rows, one field after another, and believes what it sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from common.history import record
from common.kernel.touch import Touch
from common.options import option
from common.process.context import Context
from common.process.turns import Stop
from exchange.layout import BUY, ROWS, SELL, STOCK, WIDTH
from exchange.operations import READ_ROW

NEEDS_TABLE = True
READS_ONLY = True
ENDLESS = "snapshots"
STEPS = ("acquire", "read", "release")
BEGINS = "acquire"


@dataclass(frozen=True)
class Options:
    """What an auditor can be told."""

    snapshots: int = option(
        400, about="Rows to read; 0 means until told to finish.", minimum=0, maximum=100_000_000
    )
    currency: str = option("DOLLAR", about="The row to read.", choices=ROWS)


def records(options: Options) -> int:
    """Return how many records this role will write, as far as it is known."""
    return options.snapshots or 1024


def prepare(context: Context, options: Options) -> Callable[[], dict[str, Any]]:
    """Open the table; returns what to do once the gate is open."""
    cells = context.table().cells
    clock, at = context.clock, context.at
    row = ROWS.index(options.currency)
    # It only reads: where the lock knows readers, they keep each other waiting for nothing.
    lock = context.table_lock(row).reading
    held = context.lock_number(row) * (record.HELD_FIRST + record.HELD_LAST) // record.OBJECT
    first = Touch(reads=(f"{options.currency}.sell",))
    rest = Touch(reads=(f"{options.currency}.buy", f"{options.currency}.stock"))
    acquire, release = lock.acquire, lock.release
    base = row * WIDTH

    def audit() -> dict[str, Any]:
        done = 0
        while not context.finishing and (done < options.snapshots or not options.snapshots):
            if at is not None:
                try:
                    at("acquire", lock.taking)
                except Stop:
                    break
            asked = clock()
            acquire()
            entered = clock()
            if at is not None:
                at("read", first)
            sell = cells[base + SELL]
            if at is not None:
                at("read", rest)
            buy = cells[base + BUY]
            stock = cells[base + STOCK]
            cell = context.begin(READ_ROW, held + row, 0, asked, entered, sell)
            context.end(cell, buy, stock, 0.0, 0.0, clock())
            if at is not None:
                at("release", lock.giving)
            release()
            done += 1
        return {"snapshots": done}

    return audit
