"""What do bare Python loops of the lecture's accesses cost, locked or not, recorded or not?

    python -m benchmarks.subjects.bare_loop PROCESSES OPERATIONS none|sysv_sem recorded|unrecorded
        all|buy

No roles, no steps, no launcher: the accesses of a trade through ``memoryview.cast('d')`` of a
shared mapping, and the bare calls of sysv_ipc. With ``buy`` every trade buys one unit, so that
the units missing in the end are the updates that were lost.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import struct
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import sysv_ipc

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


def unlocked(cells: memoryview, todo: list[Order]) -> None:
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


def locked(cells: memoryview, todo: list[Order], semaphore: sysv_ipc.Semaphore) -> None:
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


def recorded(cells: memoryview, todo: list[Order], declared: Declared) -> None:
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
        complete(view, slot, entered, entered, left, checked, rate, read, written)
        slot += record.RECORD_SIZE


def work(
    cells: memoryview, todo: list[Order], lock: str, key: int, recorder: Recorder | None,
    gate: tuple[int, int],
) -> float:  # fmt: skip
    """Pass the gate and do the trades; returns the seconds that they took."""
    semaphore = None
    if lock == "sysv_sem":
        semaphore = sysv_ipc.Semaphore(key)
        semaphore.undo = True
    declared = None
    if recorder is not None:
        ones = [1.0] * len(todo)
        declared = recorder.declare(ones, ones, [order[3] for order in todo])
    ready, go = gate
    os.write(ready, b".")
    os.read(go, 1)
    begun = time.monotonic()
    if semaphore is not None:
        locked(cells, todo, semaphore)
    elif declared is not None:
        recorded(cells, todo, declared)
    else:
        unlocked(cells, todo)
    return time.monotonic() - begun


def main(words: list[str]) -> None:
    """Do the work that ``words`` ask for and print its figures."""
    processes, operations = int(words[0]), int(words[1])
    lock, recording, only_buy = words[2], words[3] == "recorded", words[4] == "buy"
    table = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("d")
    for at, value in enumerate(value for row in INITIAL for value in row):
        table[at] = value
    ready, tell = os.pipe()
    go, open_gate = os.pipe()
    answer, say = os.pipe()
    children = []
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bare-loop-")))
        semaphore = sysv_ipc.Semaphore(None, sysv_ipc.IPC_CREX, mode=0o600, initial_value=1)
        stack.callback(semaphore.remove)
        for index in range(processes):
            todo = orders(operations, index + 1, only_buy)
            pid = os.fork()
            if pid == 0:
                status = 1
                try:
                    recorder = None
                    if recording:
                        path = directory / f"{index}.rec"
                        recorder = Recorder(path, "bare", "loop", index, operations)
                    os.close(open_gate)
                    gate = (tell, go)
                    seconds = work(table, todo, lock, semaphore.key, recorder, gate)
                    os.write(say, struct.pack("d", seconds))
                    status = 0
                finally:
                    os._exit(status)
            children.append(pid)
        stack.callback(_await, children)
        os.close(tell)
        os.close(say)
        for _ in children:
            if not os.read(ready, 1):
                raise ChildProcessError("a loop ended before it began")
        os.close(go)
        os.close(open_gate)
        spent = [struct.unpack("d", os.read(answer, 8))[0] for _ in children]
    first = sum(row[STOCK] for row in INITIAL)
    bought = sum(table[row * WIDTH + STOCK] for row in range(len(INITIAL))) - first
    total = processes * operations
    figures = {"operations": total, "seconds": max(spent), "per_second": total / max(spent)}
    if only_buy:
        figures["lost_share"] = (total - bought) / total
    print(json.dumps(figures))


def _await(children: list[int]) -> None:
    for pid in children:
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main(sys.argv[1:])
