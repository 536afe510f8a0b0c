"""Does the lecture's accesses in a bare Python loop, locked or not, recorded or not.

    bare_loop PROCESSES OPERATIONS none|sysv_sem recorded|unrecorded all|buy

No roles, no steps, no launcher: the accesses of a trade through ``memoryview.cast('d')`` of a
shared mapping, and the bare calls of sysv_ipc. With ``buy`` every trade buys one unit, so that
the units missing in the end are the updates that were lost.
"""

from __future__ import annotations

import json
import mmap
import random
import sys
import time
from collections.abc import Callable
from functools import partial

import sysv_ipc

from benchmarks.subjects import crew
from common.history import record
from common.history.recorder import Declared, Recorder
from exchange.layout import BUY, INITIAL, SELL, STOCK, WIDTH

BALANCE = 1e9
Order = tuple[bool, int, int, float]


def orders(count: int, seed: int, only_buy: bool) -> list[Order]:
    """Return random trades: whether to buy, the cells of rate and stock, the amount."""
    source = random.Random(seed)
    drawn = []
    for _ in range(count):
        base = source.randrange(len(INITIAL)) * WIDTH
        buying = only_buy or source.random() < 0.5
        amount = 1.0 if only_buy else 1 + source.randrange(10) + source.random()
        drawn.append((buying, base + (BUY if buying else SELL), base + STOCK, amount))
    return drawn


def unlocked(cells: memoryview[float], todo: list[Order]) -> None:
    """Do the trades."""
    balance = BALANCE
    for buying, rate, stock, amount in todo:
        if buying:
            if balance >= amount * cells[rate]:
                balance -= amount * cells[rate]
                cells[stock] = cells[stock] + amount
        elif cells[stock] >= amount:
            balance += amount * cells[rate]
            cells[stock] = cells[stock] - amount


def locked(cells: memoryview[float], todo: list[Order], semaphore: sysv_ipc.Semaphore) -> None:
    """Do the trades, each between a P and a V."""
    balance = BALANCE
    take, give = semaphore.acquire, semaphore.release
    for buying, rate, stock, amount in todo:
        take()
        if buying:
            if balance >= amount * cells[rate]:
                balance -= amount * cells[rate]
                cells[stock] = cells[stock] + amount
        elif cells[stock] >= amount:
            balance += amount * cells[rate]
            cells[stock] = cells[stock] - amount
        give()


def recorded(cells: memoryview[float], todo: list[Order], declared: Declared) -> None:
    """Do the trades, each with its record."""
    balance, clock, complete = BALANCE, time.monotonic, record.END.pack_into
    view, slot = declared.view, declared.start + record.END_OFFSET
    for buying, rate_cell, stock_cell, amount in todo:
        rate = read = written = 0.0
        entered = clock()
        if buying:
            checked = cells[rate_cell]
            if balance >= amount * checked:
                rate = cells[rate_cell]
                balance -= amount * rate
                read = cells[stock_cell]
                written = read + amount
                cells[stock_cell] = written
        else:
            checked = cells[stock_cell]
            if checked >= amount:
                rate = cells[rate_cell]
                balance += amount * rate
                read = cells[stock_cell]
                written = read - amount
                cells[stock_cell] = written
        left = clock()
        complete(view, slot, entered, entered, checked, rate, read, written, left)
        slot += record.RECORD_SIZE


def worker(
    cells: memoryview[float], todo: list[Order], key: int, recorder: Recorder | None
) -> crew.Work:
    """Return the work of one process: its loop, timed."""

    def work(ready: Callable[[], None]) -> float:
        loop = partial(unlocked, cells, todo)
        if recorder is not None:
            ones = [1.0] * len(todo)
            amounts = [order[3] for order in todo]
            loop = partial(recorded, cells, todo, recorder.declare(ones, ones, amounts))
        elif key:
            semaphore = sysv_ipc.Semaphore(key)
            semaphore.undo = True
            loop = partial(locked, cells, todo, semaphore)
        ready()
        begun = time.monotonic()
        loop()
        return time.monotonic() - begun

    return work


def main(words: list[str]) -> None:
    """Do the work that ``words`` ask for and print its figures."""
    processes, operations = int(words[0]), int(words[1])
    lock, recording, only_buy = words[2], words[3] == "recorded", words[4] == "buy"
    cells = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("d")
    for at, value in enumerate(value for row in INITIAL for value in row):
        cells[at] = value
    with crew.maker() as maker:
        key = maker.sysv_sem(1) if lock == "sysv_sem" else 0
        directory = crew.scratch(maker)
        works = []
        for index in range(processes):
            recorder = None
            if recording:
                path = directory / f"{index}.rec"
                recorder = Recorder(path, "bare", "loop", index, operations)
            works.append(worker(cells, orders(operations, index + 1, only_buy), key, recorder))
        seconds = max(crew.together(works))
    total = processes * operations
    figures = {"operations": total, "seconds": seconds, "per_second": total / seconds}
    if only_buy:
        first = sum(row[STOCK] for row in INITIAL)
        bought = sum(cells[row * WIDTH + STOCK] for row in range(len(INITIAL))) - first
        figures["lost_share"] = (total - bought) / total
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1:])
