"""What a C program makes of an intent record, beside what ours makes of the same one."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from common.kernel import intents
from common.kernel.intents import Intents
from common.kernel.objects import Maker
from common.kernel.recovery import Recovery
from common.kernel.tables import sysv_shm
from common.names import start_time
from tests.compiled import needs_compiler
from tests.conftest import Fork

pytestmark = needs_compiler

SIZE = 96
FIRST, SECOND = 2, 5
OLD, NEW = (100.0, 200.0), (90.0, 210.0)
ITEM = 7 << 32 | 3
# A pid that is there, and no process that was started at this tick.
REUSED = (os.getpid(), 7)

Left = Callable[..., "Table"]


class Table:
    """A table with a record that says what somebody was about to do."""

    def __init__(self, maker: Maker) -> None:
        self.address = sysv_shm.make(sysv_shm.Options(), SIZE, maker, intents.behind(SIZE))
        self.lock = maker.sysv_sem(1)
        self._memory = sysv_shm.attach(self.address)
        self.cells = self._memory.cells
        self.record = Intents(self._memory.bytes, SIZE)
        for rate in range(1, 12, 3):
            self.cells[rate] = 1.0

    def close(self) -> None:
        """Detach it."""
        self.record.close()
        self._memory.close()

    def visit(self, program: Path) -> subprocess.CompletedProcess[str]:
        """Let a trader in C go in once, that can afford nothing."""
        return subprocess.run(
            [program], capture_output=True, text=True, timeout=60, check=False,
            env={
                "LAB_TABLE_KIND": "sysv_shm", "LAB_TABLE_KEY": hex(self.address["key"]),
                "LAB_TABLE_RECOVERY": "undo", "LAB_LOCK_KIND": "sysv_sem",
                "LAB_LOCK_0_KEY": hex(self.lock), "LAB_OPTION_OPERATIONS": "1",
                "LAB_OPTION_BALANCE": "0", "LAB_OPTION_SELL_SHARE": "0",
            },
        )  # fmt: skip

    def seen(self) -> dict[str, Any]:
        """Return what is left of it: cells, state and entries, without times and who recovered."""
        told = self.record.told()
        for entry in told:
            for key in ("by", "began_ns", "ended_ns"):
                assert entry.pop(key) > 0
        state = self.record.words[intents.STATE]
        return {"cells": list(self.cells[:12]), "state": state, "told": told}


@pytest.fixture
def left(maker: Maker) -> Iterator[Left]:
    """Yield a function that makes a table in which somebody was."""
    made: list[Table] = []

    def make(
        phase: int, cells: tuple[float, float] = OLD, policy: str = "undo",
        owner: tuple[int, int] = REUSED, count: int = 2,
    ) -> Table:  # fmt: skip
        table = Table(maker)
        made.append(table)
        table.record.make(policy)
        words, values = table.record.words, table.record.values
        table.cells[FIRST], table.cells[SECOND] = cells
        words[intents.PID], words[intents.START] = owner
        words[intents.OPERATION], words[intents.ITEM], words[intents.COUNT] = 2, ITEM, count
        for number, cell in enumerate((FIRST, SECOND)):
            at = intents.CHANGES + number * intents.CHANGE_WORDS
            words[at], values[at + 1], values[at + 2] = cell, OLD[number], NEW[number]
        words[intents.STATE] = phase
        return table

    yield make
    for table in made:
        table.close()


@pytest.mark.parametrize("policy", ["undo", "finish"])
@pytest.mark.parametrize(
    ("phase", "cells"),
    [
        (intents.INSIDE, OLD),
        (intents.INTENDED, OLD),
        (intents.INTENDED, (NEW[0], OLD[1])),
        (intents.INTENDED, NEW),
        (intents.INTENDED, (NEW[0], 333.0)),
        (intents.COMMITTED, NEW),
    ],
    ids=["inside", "none", "one", "both", "foreign", "committed"],
)
def test_it_makes_of_it_what_ours_makes(
    phase: int, cells: tuple[float, float], policy: str, left: Left, programs: Path
) -> None:
    """The same cells, the same state, and the same entry, word by word."""
    in_c, lab = left(phase, cells, policy), left(phase, cells, policy)
    done = in_c.visit(programs / "trader")
    assert done.returncode == 0, done.stderr
    Recovery(lab.record, "the table").settle()
    assert in_c.seen() == lab.seen()
    assert in_c.record.recoveries == 1


def test_an_owner_that_lives_is_an_error(left: Left, programs: Path) -> None:
    """Two are inside at once: it changes nothing, and says who is there."""
    me = os.getpid()
    table = left(intents.INTENDED, NEW, owner=(me, start_time(me) or 0))
    done = table.visit(programs / "trader")
    assert done.returncode == 1
    assert f"by its intent record process {me} is inside, and it lives" in done.stderr
    assert (table.cells[FIRST], table.cells[SECOND]) == NEW


def test_a_zombie_does_nothing_more(left: Left, programs: Path, fork: Fork) -> None:
    """Its pid and its start are still there, and it is recovered all the same."""
    child = fork(signal.pause)
    table = left(intents.INTENDED, NEW, owner=(child.pid, start_time(child.pid) or 0))
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert table.visit(programs / "trader").returncode == 0
    assert (table.cells[FIRST], table.cells[SECOND]) == OLD


def test_a_damaged_record_is_not_followed(left: Left, programs: Path) -> None:
    """It names more changes than there can be: an error, and no cell is touched."""
    table = left(intents.INTENDED, NEW, count=3)
    done = table.visit(programs / "trader")
    assert done.returncode == 1
    assert "the intent record behind the table is damaged" in done.stderr
    assert (table.cells[FIRST], table.cells[SECOND]) == NEW
