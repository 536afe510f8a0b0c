"""The desk makes exactly the lecture's accesses, and its history survives what kills it."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from common.history.merge import load_history
from common.history.recorder import Recorder
from common.kernel.locks import none, posix_sem, sysv_sem
from common.kernel.objects import Maker
from common.kernel.tables import sysv_shm
from common.kernel.touch import At, Touch
from common.kernel.waits import Wait
from common.process.context import Context
from common.system import GRAIN
from exchange import SYSTEM, amounts
from exchange.desk import Desk, order
from exchange.layout import INITIAL
from tests.conftest import Fork

OPERATIONS = {operation.code: operation for operation in SYSTEM.operations}


class Watched:
    """Cells that note every access."""

    def __init__(self) -> None:
        self.values = [value for row in INITIAL for value in row]
        self.accesses: list[tuple[str, int]] = []

    def __getitem__(self, at: int) -> float:
        self.accesses.append(("load", at))
        return self.values[at]

    def __setitem__(self, at: int, value: float) -> None:
        self.accesses.append(("store", at))
        self.values[at] = value


def open_desk(
    path: Path, cells: Any, lock: Any, *, at: At | None = None, balance: float = 1000.0
) -> Desk:
    """Return a desk on these cells, with a real history file."""
    context = SimpleNamespace(
        table=lambda: SimpleNamespace(cells=cells),
        table_lock=lambda row=0: lock,
        lock_number=lambda row: 1,
        at=at,
        recorder=Recorder(path, "teller", "teller", 0, 64),
        recovery=None,
    )
    # The desk uses no more of a context.
    return Desk(cast(Context, context), balance)


def no_lock() -> Any:
    """Return the lock that is none."""
    return none.NoLock()


def test_a_purchase_reads_the_rate_twice_and_the_stock_once(tmp_path: Path) -> None:
    """``balance < amount*c->buy``, ``balance -= amount*c->buy``, ``c->stock += amount``."""
    cells = Watched()
    desk = open_desk(tmp_path / "a.rec", cells, no_lock())
    assert desk.trade(True, 1, 10.0, 1)
    assert cells.accesses == [("load", 4), ("load", 4), ("load", 5), ("store", 5)]
    assert (cells.values[5], desk.balance) == (10010.0, 1000.0 - 10.0 * 3.944)


def test_a_sale_reads_the_stock_twice(tmp_path: Path) -> None:
    """``c->stock < amount``, ``balance += amount*c->sell``, ``c->stock -= amount``."""
    cells = Watched()
    desk = open_desk(tmp_path / "a.rec", cells, no_lock())
    assert desk.trade(False, 3, 100.0, 1)
    assert cells.accesses == [("load", 11), ("load", 9), ("load", 11), ("store", 11)]
    assert (cells.values[11], desk.balance) == (4900.0, 1000.0 + 100.0 * 3.24)


def test_what_the_check_refuses_writes_nothing(tmp_path: Path) -> None:
    """Too small a balance or a stock: one load, no store, and the record says refused."""
    cells = Watched()
    desk = open_desk(tmp_path / "a.rec", cells, no_lock())
    assert not desk.trade(True, 1, 1000.0, 1)
    assert not desk.trade(False, 3, 5001.0, 2)
    assert cells.accesses == [("load", 4), ("load", 11)]
    assert desk.balance == 1000.0
    history = load_history(tmp_path, OPERATIONS)
    assert history.refused.tolist() == [True, True]
    assert not history.in_flight.any()


def test_steps_come_in_the_order_of_the_accesses(tmp_path: Path) -> None:
    """acquire, check, read, write, release: between check and read lies the sale's gap."""
    steps: list[str] = []
    desk = open_desk(
        tmp_path / "a.rec", Watched(), no_lock(), at=lambda step, _touch=None: steps.append(step)
    )
    desk.trade(False, 0, 1.0, 1)
    assert steps == ["acquire", "check", "read", "write", "release"]


@pytest.mark.parametrize("kind", ["sysv_sem", "posix_sem"])
def test_the_quick_calls_hold_the_lock(kind: str, tmp_path: Path, maker: Maker, wait: Wait) -> None:
    """Inside the critical section nobody else gets the lock; afterwards it is free again."""
    module = {"sysv_sem": sysv_sem, "posix_sem": posix_sem}[kind]
    address = module.make(module.Options(), maker)
    lock = module.attach(address, wait, "the lock")
    other = module.attach(address, Wait(0.01), "the lock").quick
    seen: list[bool] = []

    def look(step: str, _touch: Touch | None = None, /) -> None:
        assert other.take is not None
        assert other.give is not None
        try:
            other.take()
        except other.busy:
            seen.append(False)
        else:
            other.give()
            seen.append(True)

    open_desk(tmp_path / "a.rec", Watched(), lock, at=look).trade(True, 0, 1.0, 1)
    assert seen == [True, False, False, False, False]
    look("afterwards")
    assert seen[-1]
    lock.close()


@pytest.mark.parametrize(
    ("step", "written"), [("check", False), ("read", False), ("write", False), ("release", True)]
)
def test_what_was_in_flight_is_known_after_kill_9(
    step: str, written: bool, tmp_path: Path, maker: Maker, fork: Fork
) -> None:
    """Killed at any step, the history holds what was done, and the one operation in flight."""
    address = sysv_shm.make(sysv_shm.Options(), 96, maker)
    memory = sysv_shm.attach(address)
    for at, value in enumerate(value for row in INITIAL for value in row):
        memory.cells[at] = value

    def trade() -> None:
        reached = 0

        def kill(name: str, _touch: Touch | None = None, /) -> None:
            nonlocal reached
            reached += name == step
            if reached == 3:
                os.kill(os.getpid(), signal.SIGKILL)

        desk = open_desk(tmp_path / "a.rec", memory.cells, no_lock(), at=kill)
        (batch,) = desk.declare([order(True, 0, float(n)) for n in (1, 2, 4, 8)], 1)
        desk.deal(batch)

    assert fork(trade).ended() == -signal.SIGKILL
    history = load_history(tmp_path, OPERATIONS)
    assert history.done.tolist() == [True, True, False]
    assert history.in_flight.tolist() == [False, False, True]
    assert history.record(2)["v0"] == 4.0
    assert memory.cells[2] == 10003.0 + 4.0 * written
    memory.close()


def test_what_was_never_begun_is_withdrawn(tmp_path: Path) -> None:
    """A teller told to finish takes back the trades that it declared and did not do."""
    desk = open_desk(tmp_path / "a.rec", Watched(), no_lock())
    (batch,) = desk.declare([order(True, 0, 1.0)] * 10, 1)
    first, second = batch.pieces(5)
    assert desk.deal(first) == 5
    desk._recorder.withdraw(second.declared.start)
    history = load_history(tmp_path, OPERATIONS)
    assert len(history) == 5
    assert not history.in_flight.any()
    assert desk.trade(True, 0, 1.0, 11)
    assert len(load_history(tmp_path, OPERATIONS)) == 6


def test_amounts_name_their_operations() -> None:
    """Drawn amounts are multiples of 2**-30 within bounds, and no two are alike."""
    drawn = amounts.draw(random.Random(3), 5000, [0, 1, 2, 3], 0.5, 10)
    values = [draw.amount for draw in drawn]
    assert all(value % GRAIN == 0 and 1 <= value < 12 for value in values)
    assert len(set(values)) == len(values)
    assert {draw.row for draw in drawn} == {0, 1, 2, 3}


def test_portions_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long run is drawn in portions, the same trades in number; 0 goes on for ever."""
    monkeypatch.setattr(amounts, "PORTION", 7)

    def sizes(count: int, most: int) -> list[int]:
        found = []
        portions = amounts.portions(random.Random(1), count, [0], 0.5, 10)
        for portion, _ in zip(portions, range(most), strict=False):
            found.append(len(portion))
        return found

    assert sizes(17, 9) == [7, 7, 3]
    assert sizes(0, 4) == [1, 1, 1, 1]
