"""What the live table shows: it fits its terminal, and says what each process does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common import kinds
from common.history.outcome import ProcessOutcome
from common.kernel.objects import Maker
from common.kernel.waits import Wait
from common.process.members import Member
from common.report.live.frame import Picture, Row, drawn
from common.report.live.view import View
from exchange.operations import SELL
from tests.conftest import Fork, Signpost
from tests.launching import ROOT
from tests.verdict.scenes import OPERATIONS, Scene

NOWHERE: dict[str, Any] = {"table": None, "paper": None, "channels": {}}


ROWS = [Row(f"trader-{n}", "trader", 1000, 10.0, 1, 0.5, "sell 1 DOLLAR" * 9) for n in range(100)]


FULL = Picture(
    "exchange/x · locked · seed 1", 1.5, ROWS, ("sell", "buy", "stock"),
    [("DOLLAR", (3.73, 3.72, -4.0))], [("orders", 3)], [("lost_update", "word " * 60)], 12,
)  # fmt: skip


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (200, 60), (40, 10), (10, 3), (1, 1)])
def test_a_frame_fits_its_terminal(columns: int, lines: int) -> None:
    """No line is wider than the screen and there are no more lines than it has."""
    frame = drawn(FULL, columns, lines, colour=False)
    assert len(frame) <= lines
    assert max(map(len, frame)) <= columns


def test_findings_stay_when_there_are_many_processes() -> None:
    """A hundred processes on 24 lines: finding, stock and the count of the rest are there."""
    text = "\n".join(drawn(FULL, 80, 24, colour=False))
    assert "lost_update: word" in text
    assert "DOLLAR" in text
    assert re.search(r"and \d+ more, which did [\d,]+ operations", text)
    assert "12 operations came too fast" in text


def test_colour_only_where_it_is_wanted() -> None:
    """Without colour there is no escape sequence at all; with it, a stock below zero is red."""
    assert "\x1b" not in "".join(drawn(FULL, 80, 24, colour=False))
    (line,) = [
        line
        for line in drawn(FULL, 80, 200, colour=True)
        if line.lstrip(" \x1b[0123456789m").startswith("DOLLAR  ")
    ]
    assert line.startswith("\x1b[31m")


def test_control_characters_of_others_are_shown_and_not_obeyed() -> None:
    """A process that is not ours may say that it waits for an escape sequence."""
    row = Row("guest-1", "teller", 0, 0.0, 0, 0.0, "waits for \x1b[2J\x07\n")
    assert not {"\x1b", "\x07", "\n"} & set(
        "".join(drawn(Picture("x", 0.0, [row]), 80, 24, colour=False))
    )


def member(scene: Scene, name: str, pid: int = 0) -> Member:
    """Return a process of a scene as the launcher knows it."""
    into = scene.recorder(name)
    outcome = ProcessOutcome(name, "trader", "exchange", 0, pid or os.getpid())
    found = Member(outcome, "trader", scene.directory / "history" / f"{name}.rec")
    found.pidfd = 0
    into.publish(0, "")
    return found


def view(scene: Scene, addresses: dict[str, Any] | None = None) -> View:
    """Return a view of a scene's plan that has begun to look."""
    looking = View(OPERATIONS, ("sell", "buy", "stock"))
    looking.begin(scene.case().plan, addresses or NOWHERE, time.monotonic_ns())
    return looking


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """Return an empty scene."""
    return Scene(tmp_path)


def test_a_crash_is_told(scene: Scene) -> None:
    """A process killed by a signal is named with it; one that the launcher ended is not."""
    killed, ended = member(scene, "trader-0"), member(scene, "trader-1")
    for each in (killed, ended):
        each.pidfd, each.outcome.signal = -1, 9
    ended.outcome.ended_by_launcher = True
    picture = view(scene).picture([killed, ended])
    assert picture.findings == [("process_crashed", "trader-0: killed by SIGKILL")]
    assert picture.rows[0].now == "killed by SIGKILL"


def test_a_standstill_is_told_when_everybody_waits(scene: Scene) -> None:
    """While one of two goes on nothing is told; when both wait for long, that nobody moves."""
    members = [member(scene, "a"), member(scene, "b")]
    looking = view(scene)
    long_ago = time.monotonic_ns() - 60 * 10**9
    scene.recorders["a"].publish(long_ago, "letters in channel jobs")
    assert looking.picture(members).findings == []
    scene.recorders["b"].publish(long_ago, "the paper's lock")
    assert looking.picture(members).findings == [
        (
            "process_hung",
            "nobody moves: a waits for letters in channel jobs; b waits for the paper's lock",
        )
    ]


def test_a_deadlock_is_told_with_who_has_what(
    scene: Scene, maker: Maker, wait: Wait, fork: Fork, signpost: Callable[[], Signpost]
) -> None:
    """The kernel says who has the lock that everybody waits for: he waits for it himself."""
    module = kinds.load(kinds.LOCKS, "sysv_sem")
    lock = {"kind": "sysv_sem", "at": module.make(module.Options(undo=True), maker)}
    store = kinds.load(kinds.TABLES, "sysv_shm")
    memory = store.make(store.Options(), 24, maker)
    table = {"kind": "sysv_shm", "memory": memory, "locks": [lock], "names": ["DOLLAR"]}
    has, may_end = signpost(), signpost()

    def hold() -> None:
        module.attach(lock["at"], wait, "the table's lock").acquire()
        has.show("h")
        may_end.see("e")

    child = fork(hold)
    has.see("h")
    holder = member(scene, "a", child.pid)
    scene.recorders["a"].publish(time.monotonic_ns() - 60 * 10**9, "the table's lock")
    picture = view(scene, {**NOWHERE, "table": table}).picture([holder])
    may_end.show("e")
    child.ended()
    assert picture.table == [("DOLLAR", [0.0, 0.0, 0.0])]
    assert picture.findings == [
        ("deadlock", "a waits for the table's lock, which a has"),
    ]


def test_what_each_process_does_is_told(scene: Scene) -> None:
    """The operation in hand, else the last one; a wait with its length goes before both."""
    trader = member(scene, "a")
    looking = view(scene)
    cell = scene.recorders["a"].begin(SELL, 0, 1, 1, 1, 12.5)
    assert looking.picture([trader]).rows[0].now == "sell 12.5 DOLLAR"
    scene.recorders["a"].end(cell, 0.0, 0.0, 1.0, 0.0, 2)
    assert looking.picture([trader]).rows[0].now == "after sell 12.5 DOLLAR"
    scene.recorders["a"].publish(time.monotonic_ns(), "the table's lock")
    assert re.fullmatch(
        r"waits [\d.]+ s for the table's lock", looking.picture([trader]).rows[0].now
    )


def test_who_does_not_ask_does_not_pay() -> None:
    """``run`` without ``--live`` loads nothing of the live table, and no numpy."""
    program = (
        "import sys, common.verbs.run as r; "
        "print([m for m in sys.modules if m == 'numpy' or m.startswith('common.report.live')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.strip() == "[]"
