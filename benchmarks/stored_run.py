"""Writes a large run straight into the record layout, as real processes would have left it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import exchange
from common.history import record, store
from common.history.mapped import LAYOUT
from common.history.outcome import Outcome, ProcessOutcome
from common.scenario.load import load
from common.scenario.plan import Plan, plan
from common.system import GRAIN
from exchange import layout
from exchange.operations import BUY, SELL

SYSTEMS = {"exchange": exchange.SYSTEM}
PROCESSES = 4
STOCK = 1_000_000.0
BALANCE = 1e9
# Times in ns: from one operation to the next, inside the critical section, before the next wait.
APART, INSIDE, PAUSE = 2000, 1000, 200
# In an unlocked run one operation in so many is overwritten by the one after it.
LOST_ONE_IN = 100


def write(run_dir: Path, operations: int, *, locked: bool) -> int:
    """Write a run of four traders to ``run_dir``; returns the bytes of its record files.

    A locked run is valid: processes wait for one another, and no update is lost. An unlocked one
    has lost updates, each with the two operations that overlapped.
    """
    (run_dir / store.HISTORY).mkdir(parents=True)
    planned = _plan(run_dir, operations // PROCESSES, locked)
    gate = time.monotonic_ns()
    records, owner = _records(np.random.default_rng(1), operations, gate, locked)
    outcomes = []
    for process in planned.processes:
        mine = records[owner == process.index]
        mine["item"] = (process.index << 32) + np.arange(1, len(mine) + 1)
        # A process waits from the end of its last operation on: for the one before it, at least.
        mine["asked"][0] = gate / 1e9
        mine["asked"][1:] = mine["left"][:-1] + PAUSE / 1e9
        mine["asked"] = np.minimum(mine["asked"], mine["entered"])
        pid = 1000 + process.index
        header = bytearray(record.HEADER_SIZE)
        record.HEADER.pack_into(
            header, 0, record.MAGIC, record.RECORD_SIZE, record.HEADER_SIZE, pid, process.index,
            process.name.encode(), process.role.encode(), 0, b"",
        )  # fmt: skip
        path = run_dir / store.HISTORY / f"{process.name}.rec"
        path.write_bytes(header + mine.tobytes())
        outcome = ProcessOutcome(
            process.name, process.role, process.system, process.index, pid, exit=0, phase="done"
        )
        outcome.summary = {"balance": _balance(mine), "done": len(mine)}
        outcomes.append(outcome)
    assert planned.table is not None
    store.write_plan(run_dir, planned)
    store.write_outcome(
        run_dir,
        Outcome(
            gate_ns=gate,
            ended_ns=gate + (operations + 1) * APART,
            processes=outcomes,
            initial=planned.table.rows,
            final=_final(records, planned.table.rows),
        ),
    )
    return sum(path.stat().st_size for path in (run_dir / store.HISTORY).iterdir())


def _plan(run_dir: Path, each: int, locked: bool) -> Plan:
    path = run_dir / "stored_run.yaml"
    stocks = ", ".join(f"{name}: {{stock: {STOCK}}}" for name in layout.ROWS)
    path.write_text(
        f"system: exchange\n"
        f"table:\n"
        f"  store: sysv_shm\n"
        f"  lock: {'sysv_sem' if locked else 'none'}\n"
        f"  rows: {{{stocks}}}\n"
        f"processes:\n"
        f"  - {{role: trader, count: {PROCESSES}, operations: {each}, balance: {BALANCE:.0f}}}\n"
        f"expect: valid\n"
    )
    return plan(load(path, SYSTEMS, []), None, 1, SYSTEMS)


def _records(
    source: np.random.Generator, count: int, gate: int, locked: bool
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Return ``count`` operations in the order in which they entered, and the process of each."""
    owner = source.integers(0, PROCESSES, count)
    row = source.integers(0, len(layout.ROWS), count)
    buying = source.random(count) < 0.5
    amount = 1.0 + source.integers(0, 10, count)
    amount += (source.integers(0, 1 << 30, count) | 1) * GRAIN
    rates = np.array(layout.INITIAL)
    rate = np.where(buying, rates[row, layout.BUY], rates[row, layout.SELL])
    entered = gate + APART * (1 + np.arange(count))
    lost = np.zeros(count, dtype=bool)
    read = np.empty(count)
    for number in range(len(layout.ROWS)):
        here = np.flatnonzero(row == number)
        if not locked:
            lost[here[LOST_ONE_IN:-1:LOST_ONE_IN]] = True
            _let_overlap(here, lost, owner, entered)
        signed = np.where(buying[here], amount[here], -amount[here])
        kept = np.where(lost[here], 0.0, signed)
        # What an operation reads is what the last one before it wrote that was not lost.
        read[here] = STOCK + np.cumsum(kept) - kept
    records = np.zeros(count, LAYOUT)
    held = record.TABLE_LOCK * (record.HELD_FIRST + record.HELD_LAST) if locked else 0
    records["kind"] = np.where(buying, BUY, SELL) + row * record.OBJECT + held
    records["v0"] = amount
    records["v1"] = np.where(buying, rate, read)
    records["v2"] = rate
    records["v3"] = read
    records["v4"] = np.where(buying, read + amount, read - amount)
    records["entered"] = entered / 1e9
    records["left"] = (entered + INSIDE) / 1e9
    return records, owner


def _let_overlap(
    here: npt.NDArray[np.int64],
    lost: npt.NDArray[np.bool_],
    owner: npt.NDArray[np.int64],
    entered: npt.NDArray[np.int64],
) -> None:
    """Have each lost operation be inside together with the next one of its row, of another."""
    first = np.flatnonzero(lost[here])
    victims, victors = here[first], here[first + 1]
    same = owner[victims] == owner[victors]
    lost[victims[same]] = False
    victims, victors = victims[~same], victors[~same]
    entered[victims] = entered[victors] - INSIDE // 2


def _balance(mine: npt.NDArray[Any]) -> float:
    buying = mine["kind"] % record.OBJECT == BUY
    changes = mine["v0"] * mine["v2"] * np.where(buying, -1.0, 1.0)
    return float(np.add.accumulate(np.concatenate([[BALANCE], changes]))[-1])


def _final(records: npt.NDArray[Any], initial: list[list[float]]) -> list[list[float]]:
    """Return the rows at the end: each stock as its last operation wrote it."""
    rows = [list(row) for row in initial]
    written = records["kind"] // record.OBJECT % record.OBJECT
    for number, row in enumerate(rows):
        last = np.flatnonzero(written == number)[-1]
        row[layout.STOCK] = float(records["v4"][last])
    return rows
