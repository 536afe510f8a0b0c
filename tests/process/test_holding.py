"""Of a lock that was waited for in vain it is said who had it, and what became of that process."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.history import record
from common.history.outcome import ProcessOutcome
from common.history.recorder import Recorder
from common.kernel.locks import sysv_sem
from common.kernel.objects import Maker
from common.kernel.waits import Wait
from common.process import holding, inspect
from common.process.deadlocks import Watch
from common.process.hanging import name_the_abandoned
from common.process.members import Member
from tests.conftest import PATIENCE, Fork
from tests.process.test_faults import process, run, scenario

WHAT = "the table's lock"
# When a wait was over, in these histories (ns).
THEN = 5_000_000_000
BEFORE, AFTER = THEN - 1_000_000_000, THEN + 1_000_000_000
HELD = record.TABLE_LOCK * (record.HELD_FIRST + record.HELD_LAST) // record.OBJECT

Made = Callable[..., Member]


def in_vain(tmp_path: Path, lock: Any, **fault: Any) -> dict[str, Any]:
    """Run two traders, of whom one is struck at its third write; returns the document.

    The other one trades until it waits for the lock in vain.
    """
    content = scenario(
        table={"store": "sysv_shm", "lock": lock},
        processes=[
            {"role": "trader", "name": "struck", "operations": 3},
            {"role": "trader", "name": "other", "operations": 0},
        ],
        deadlines={"run": 0, "wait": 0.5},
        faults=[{"process": "struck", "step": "write", "at": 3, **fault}],
    )
    return run(tmp_path, content)


@pytest.mark.parametrize("lock", ["posix_sem", "mp_lock", "spinlock"])
def test_a_dead_holder_that_no_kernel_names_is_known_by_its_history(
    tmp_path: Path, lock: str
) -> None:
    """Its operation under the lock was never over, and it does not wait: it died with the lock."""
    document = in_vain(tmp_path, lock, kind="kill")
    dead, waiter = process(document, "struck-0"), process(document, "other-0")
    said = f"struck-0 (pid {dead['pid']}, it was killed by signal 9 (Killed)) had it"
    assert waiter["holder"].startswith(said)
    assert "as the histories say" in waiter["holder"]
    (finding,) = document["findings"]
    assert finding["kind"] == "process_hung"
    assert f"waited 0.5 s for {WHAT}, in vain; {said}" in finding["explanation"]


@pytest.mark.parametrize(
    ("lock", "by"), [("sysv_sem", "(GETPID)"), ("mp_lock", "as the histories say")]
)
def test_a_stopped_holder_is_told_from_a_dead_one_and_a_slow_one(
    tmp_path: Path, lock: str, by: str
) -> None:
    """It stands still longer than others may wait; in the end it has done all that it was to do."""
    document = in_vain(tmp_path, lock, kind="stop", seconds=1.5)
    stopped, waiter = process(document, "struck-0"), process(document, "other-0")
    said = f"struck-0 (pid {stopped['pid']}, stopped by a signal: it is neither slow nor deadlocked"
    assert waiter["holder"].startswith(said)
    assert by in waiter["holder"]
    assert stopped["phase"] == "done"
    assert said in document["findings"][0]["explanation"]


# What the histories say, without a run


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """Return what makes a process that has ended, with the operations of its history.

    Each is when it was entered and left (ns); 0 for one that was never over.
    """
    recorders: list[Recorder] = []

    def make(*times: tuple[int, int], place: int = HELD, waits: str = "", **facts: Any) -> Member:
        name = f"p-{len(recorders)}"
        path = tmp_path / f"{name}.rec"
        recorder = Recorder(path, name, "trader", 0, 10)
        recorders.append(recorder)
        for entered, left in times:
            cell = recorder.begin(1, place, 0, entered, entered, 1.0)
            if left:
                recorder.end(cell, 0.0, 0.0, 0.0, 0.0, left)
        recorder.publish(BEFORE if waits else 0, waits)
        given: dict[str, Any] = {"pid": 100 + len(recorders), "signal": 9, "phase": "run"} | facts
        return Member(ProcessOutcome(name, "trader", "", 0, **given), "", path)

    return make


def told(*members: Member, number: int = record.TABLE_LOCK, in_vain: tuple[str, ...] = ()) -> str:
    """Return who had a POSIX semaphore, as these histories say."""
    lock = holding.Lock("posix_sem", {}, number)
    return holding.told(holding.Look(WHAT, lock, THEN, None), members, in_vain)


def test_who_was_within_an_operation_had_it(made: Made) -> None:
    """It began before and was over after; what came before and after matters to nobody."""
    other = made((BEFORE - 9, BEFORE), (AFTER, AFTER + 1))
    holder = made((1, 2), (3, 4), (BEFORE, AFTER), (AFTER + 1, AFTER + 2))
    assert told(other, holder).startswith("p-1 (pid 102,")


def test_who_died_waiting_had_nothing(made: Made) -> None:
    """A killed waiter's operation is never over either: its history says that it waited."""
    assert told(made((0, 0), waits=WHAT), made((0, 0))).startswith("p-1 (pid 102,")


def test_who_waited_in_vain_had_nothing(made: Made) -> None:
    """It has given up, and its operation was never over."""
    assert told(made((0, 0), signal=None, exit=1), made((0, 0)), in_vain=("p-0",)).startswith("p-1")


def test_another_lock_is_no_holder_of_this_one(made: Made) -> None:
    """What is held stands in the record: the lock of a row is not that of another."""
    row = (record.FIRST_ROW_LOCK + 1) * (record.HELD_FIRST + record.HELD_LAST) // record.OBJECT
    assert told(made((BEFORE, AFTER), place=row)) == "who had it nobody can tell"
    assert told(made((BEFORE, AFTER), place=row), number=3).startswith("p-1")


def test_two_that_may_have_had_it_are_both_named(made: Made) -> None:
    """One of them died before it took the lock; which one the histories do not say."""
    said = told(made((0, 0)), made((BEFORE, 0)))
    assert said.startswith("one of these p-0 (pid 101,")
    assert "; p-1 (pid 102," in said


def test_garbage_and_a_history_that_is_not_there_are_nobodys_lock(made: Made) -> None:
    """A program that is not ours may write anything, or end before its first line."""
    strange, early = made((BEFORE, AFTER)), made()
    with strange.record.open("r+b") as file:
        file.seek(record.HEADER_SIZE)
        file.write(b"\xff" * record.RECORD_SIZE)
    early.record.unlink()
    assert told(strange, early) == "who had it nobody can tell"


def test_who_is_hung_when_a_run_is_over_is_told_of_the_holder(
    made: Made, maker: Maker, fork: Fork, wait: Wait
) -> None:
    """It has not given up itself: the launcher looks for it, and says how the holder stands."""
    at = sysv_sem.make(sysv_sem.Options(), maker)
    table = {"locks": [{"kind": "sysv_sem", "at": at}], "names": []}
    watch = Watch({"table": table, "paper": None, "channels": {}})

    def hold() -> None:
        sysv_sem.attach(at, wait, WHAT).acquire()
        os.kill(os.getpid(), signal.SIGSTOP)

    child = fork(hold)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
    holder, waiter = made(pid=child.pid), made(waits=WHAT, hung="run took longer than 1 s")
    # Living processes, as far as anybody looks.
    holder.pidfd = waiter.pidfd = 0
    events: list[str] = []
    name_the_abandoned([holder, waiter], watch, lambda event, **_: events.append(event))
    assert waiter.outcome.holder is not None
    assert waiter.outcome.holder.startswith(f"p-0 (pid {child.pid}, stopped by a signal")
    assert waiter.outcome.holder.endswith("had it (GETPID)")
    assert (holder.outcome.holder, events) == (None, ["wait_in_vain"])


# How a process stands


def test_a_sleeping_process_is_told_with_where_it_sleeps(fork: Fork) -> None:
    """The kernel's word for the call (proc(5), wchan), to those who may look into the process."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as asleep:
        until = time.monotonic() + PATIENCE
        # It sleeps now and then before it comes to the read in which it stays.
        while not re.fullmatch(r"sleeping in \w*pipe\w*", inspect.state(asleep.pid)):
            assert time.monotonic() < until
            os.sched_yield()

        def look() -> None:
            os.setresuid(65534, 65534, 65534)
            assert inspect.state(asleep.pid) == "sleeping"

        if os.geteuid() == 0:
            assert fork(look).ended() == 0
        asleep.kill()
