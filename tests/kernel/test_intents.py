"""The intent record: whoever dies inside, wherever it is, is undone or finished exactly once."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from common import kinds
from common.errors import KernelObjectError
from common.kernel import intents
from common.kernel.intents import Intents
from common.kernel.objects import Maker
from common.kernel.recovery import RecoveringLock, Recovery, gone
from common.kernel.tables import sysv_shm
from common.kernel.waits import Wait
from common.names import start_time
from tests.conftest import Child, Fork

SIZE = 96
OLD, NEW = (100.0, 200.0), (90.0, 210.0)
# Two stocks, in different rows.
FIRST, SECOND = 2, 5
ITEM = 7 << 32 | 3

Open = Callable[[], tuple[Intents, Any]]


@pytest.fixture
def table(maker: Maker) -> Iterator[Open]:
    """Yield a function that attaches a table with a record (policy: undo): record and cells."""
    address = sysv_shm.make(sysv_shm.Options(), SIZE, maker, intents.behind(SIZE))
    attached = []

    def attach() -> tuple[Intents, Any]:
        memory = sysv_shm.attach(address)
        attached.append((Intents(memory.bytes, SIZE), memory))
        return attached[-1][0], memory.cells

    record, cells = attach()
    record.make("undo")
    cells[FIRST], cells[SECOND] = OLD
    yield attach
    for record, memory in attached:
        record.close()
        memory.close()


def dying(number: int) -> Callable[..., None]:
    """Return a step hook that kills its process at the ``number``-th step (from 1)."""
    passed = itertools.count(1)

    def at(step: str, _touch: object = None, /) -> None:
        if next(passed) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return at


def operate(table: Open, at: Callable[..., None]) -> None:
    """Do what a holder does, passing ``at`` between any two stores."""
    record, cells = table()

    def before_commit(step: str, _touch: object = None, /) -> None:
        # Not what it does for others: these points count its own operation.
        if step == "commit":
            at(step)

    recovery = Recovery(record, "the table", before_commit)
    at("acquire")
    recovery.enter()
    at("check")
    recovery.intend(2, ITEM, ((FIRST, OLD[0], NEW[0]), (SECOND, OLD[1], NEW[1])))
    at("write")
    cells[FIRST] = NEW[0]
    at("write")
    cells[SECOND] = NEW[1]
    recovery.commit()
    at("release")
    recovery.leave()
    at("over")


POINTS = {
    1: "acquire", 2: "check", 3: "write", 4: "write", 5: "commit", 6: "release", 7: "over",
}  # fmt: skip


def killed_at(fork: Fork, table: Open, number: int) -> Child:
    """Return a holder that was killed at a point."""
    child = fork(lambda: operate(table, dying(number)))
    assert child.ended() == -signal.SIGKILL
    return child


def settle(table: Open) -> tuple[Intents, tuple[float, float]]:
    """Go in as the next holder; returns the record and what the two cells hold then."""
    record, cells = table()
    recovery = Recovery(record, "the table")
    recovery.enter()
    recovery.leave()
    return record, (cells[FIRST], cells[SECOND])


@pytest.mark.parametrize("policy", ["undo", "finish"])
@pytest.mark.parametrize("number", POINTS)
def test_whoever_dies_leaves_all_or_nothing(
    number: int, policy: str, table: Open, fork: Fork
) -> None:
    """Killed at every point: the next holder finds, or makes, both changes or neither."""
    record, _ = table()
    record.rule(policy)
    # What an operation before this one had said still stands in the record.
    before = Recovery(record, "the table")
    before.enter()
    before.intend(1, ITEM - 1, ((FIRST, OLD[0], OLD[0]), (SECOND, OLD[1], OLD[1])))
    before.commit()
    before.leave()
    died = killed_at(fork, table, number)
    record, left = settle(table)
    inside = 1 < number < 7
    applied = number >= 6 or (policy == "finish" and number >= 3)
    assert left == (NEW if applied else OLD)
    assert record.phase == intents.CLEAR
    assert record.recoveries == int(inside)
    if inside:
        [entry] = record.told()
        assert (entry["dead"], entry["by"]) == (died.pid, os.getpid())
        assert entry["item"] == (ITEM if number > 2 else 0)
        assert len(entry["changes"]) == (2 if number > 2 else 0)
        assert entry["began_ns"] <= entry["ended_ns"]


@pytest.mark.parametrize(
    ("number", "found"), [(3, ("old", "old")), (4, ("new", "old")), (5, ("new", "new"))]
)
def test_the_entry_says_what_was_found(
    number: int, found: tuple[str, str], table: Open, fork: Fork
) -> None:
    """Which change was made and which was not, with cells and values."""
    killed_at(fork, table, number)
    record, _ = settle(table)
    [entry] = record.told()
    assert entry["phase"] == "intended"
    assert entry["operation"] == 2
    one, other = entry["changes"]
    assert (one["found"], other["found"]) == found
    assert (one["cell"], one["old"], one["new"]) == (FIRST, OLD[0], NEW[0])
    assert (other["cell"], other["old"], other["new"]) == (SECOND, OLD[1], NEW[1])


@pytest.mark.parametrize("policy", ["undo", "finish"])
@pytest.mark.parametrize("number", [3, 4, 5])
def test_whoever_recovers_may_die_of_it_at_any_step(
    number: int, policy: str, table: Open, fork: Fork
) -> None:
    """Recoverers die at their first, second, third … step; it ends as one recovery would have."""
    table()[0].rule(policy)
    died = killed_at(fork, table, number)

    def recover(point: int) -> None:
        record, _ = table()
        Recovery(record, "the table", dying(point)).enter()
        os._exit(0)

    ends = []
    for point in itertools.count(1):
        ends.append(fork(partial(recover, point)).ended())
        if not ends[-1]:
            break
    # Before the word that it began, before each cell that is to be changed, before the last store.
    assert ends[:-1] == [-signal.SIGKILL] * (len(ends) - 1)
    assert len(ends) >= 3
    record, left = settle(table)
    assert left == (OLD if policy == "undo" else NEW)
    told = record.told()
    # Whoever came in at last died inside, too: it exited without leaving.
    assert [entry["phase"] for entry in told] == ["intended", "inside"]
    assert told[0]["dead"] == died.pid


def test_deaths_in_a_row_are_recovered_one_by_one(table: Open, fork: Fork) -> None:
    """Each next holder ends what the one before it left, and dies inside itself."""
    pids = [killed_at(fork, table, number).pid for number in (4, 2, 2, 5)]
    record, left = settle(table)
    assert left == OLD
    assert [entry["dead"] for entry in record.told()] == pids
    assert [entry["by"] for entry in record.told()] == [*pids[1:], os.getpid()]


def test_what_somebody_else_wrote_is_left_alone(table: Open, fork: Fork) -> None:
    """A cell that holds neither value is told, and not wiped; the other one is undone."""
    killed_at(fork, table, 5)
    _, cells = table()
    cells[SECOND] = 333.0
    record, left = settle(table)
    assert left == (OLD[0], 333.0)
    [entry] = record.told()
    assert [change["found"] for change in entry["changes"]] == ["new", "foreign"]
    assert entry["changes"][1]["seen"] == 333.0


def test_an_owner_that_lives_is_no_dead_one(table: Open) -> None:
    """Two who are inside at once: the second is refused, and nothing is changed."""
    record, cells = table()
    sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        recovery = Recovery(record, "the table")
        recovery.enter()
        recovery.intend(2, ITEM, ((FIRST, OLD[0], NEW[0]),))
        cells[FIRST] = NEW[0]
        record.words[intents.PID] = sleeper.pid
        record.words[intents.START] = start_time(sleeper.pid) or 0
        with pytest.raises(KernelObjectError, match=f"process {sleeper.pid} is inside"):
            Recovery(record, "the table").enter()
        assert cells[FIRST] == NEW[0]
        # Somebody with its number that started at another time is somebody else.
        record.words[intents.START] += 1
        settle(table)
        assert cells[FIRST] == OLD[0]
    finally:
        sleeper.communicate(b"\n")


def test_gone_means_that_it_does_nothing_more(fork: Fork) -> None:
    """A zombie is gone, a process that runs is not, and a number that nobody has is."""
    assert not gone(os.getpid(), start_time(os.getpid()) or 0)
    child = fork(lambda: None)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    stat = f"/proc/{child.pid}/stat"
    with open(stat) as file:
        fields = file.read().rpartition(")")[2].split()
    assert fields[0] == "Z"
    assert gone(child.pid, int(fields[19]))
    child.ended()
    assert gone(child.pid, int(fields[19]))
    assert gone(0, 0)


def test_a_record_that_names_what_is_not_there_is_refused(table: Open, fork: Fork) -> None:
    """A cell outside the rows, or three changes, are no reason to write anywhere."""
    killed_at(fork, table, 4)
    record, _ = table()
    record.words[intents.CHANGES] = 12
    with pytest.raises(KernelObjectError, match="damaged"):
        settle(table)
    record.words[intents.CHANGES], record.words[intents.COUNT] = FIRST, 3
    with pytest.raises(KernelObjectError, match="damaged"):
        settle(table)


def test_more_recoveries_than_there_is_room_for_are_counted(table: Open, fork: Fork) -> None:
    """The last entry is used again; what is recovered is recovered all the same."""
    record, _ = table()
    record.words[intents.STATE] = (intents.ROOM + 5) << intents.PHASE_BITS
    killed_at(fork, table, 4)
    record, left = settle(table)
    assert left == OLD
    assert record.recoveries == intents.ROOM + 6
    assert len(record.told()) == intents.ROOM
    assert record.told()[-1]["item"] == ITEM


def test_the_layout_is_that_of_the_documentation(table: Open) -> None:
    """Magic at byte 128, and the words behind it, as a C program finds them."""
    record, _ = table()
    recovery = Recovery(record, "the table")
    recovery.enter()
    recovery.intend(2, ITEM, ((FIRST, 1.5, 2.5),))
    view = memoryview(record._mine)
    assert bytes(view[:8]) == b"LABINT01"
    words, values = view.cast("q"), view.cast("d")
    assert words[:8].tolist() == [
        words[0], 1, 2, os.getpid(), start_time(os.getpid()), 2, ITEM, 1,
    ]  # fmt: skip
    assert (words[8], values[9], values[10]) == (FIRST, 1.5, 2.5)
    assert intents.place(SIZE) == 128
    assert intents.place(SIZE) + intents.SPACE == 131_072
    # The state is what the next one looks at: clear again, it looks no further.
    recovery.leave()
    assert words[2] == 0
    for each in (values, words, view):
        each.release()


@pytest.mark.parametrize("kind", ["sysv_sem", "robust_mutex", "flock"])
def test_the_lock_of_a_dead_holder_brings_its_table_with_it(
    kind: str, table: Open, maker: Maker, wait: Wait, fork: Fork
) -> None:
    """However the kernel gives it back, told or in silence, the next holder has a whole table."""
    module = kinds.load(kinds.LOCKS, kind)
    address = module.make(module.Options(), maker)

    def hold() -> None:
        record, cells = table()
        recovery = Recovery(record, "the table")
        lock = RecoveringLock(module.attach(address, wait, "the lock"), recovery)
        lock.acquire()
        recovery.intend(2, ITEM, ((FIRST, OLD[0], NEW[0]), (SECOND, OLD[1], NEW[1])))
        cells[FIRST] = NEW[0]
        os.kill(os.getpid(), signal.SIGKILL)

    # Not waited for: it may still be taken apart when its lock is free.
    child = fork(hold)
    record, cells = table()
    lock = RecoveringLock(module.attach(address, wait, "the lock"), Recovery(record, "the table"))
    while not record.recoveries:
        quick = lock.quick
        assert quick.take is not None
        assert quick.give is not None
        try:
            quick.take()
        except quick.busy:
            quick.stand()
        quick.give()
    assert (cells[FIRST], cells[SECOND]) == OLD
    assert record.told()[0]["dead"] == child.pid
    lock.close()


def test_who_only_reads_has_the_table_settled_first(
    table: Open, maker: Maker, wait: Wait, fork: Fork
) -> None:
    """Readers are many and change nothing: one of them takes the lock alone, before it reads."""
    killed_at(fork, table, 4)
    module = kinds.load(kinds.LOCKS, "flock")
    inner = module.attach(module.make(module.Options(), maker), wait, "the lock")
    record, cells = table()
    reading = RecoveringLock(inner, Recovery(record, "the table")).reading
    reading.acquire()
    assert (cells[FIRST], cells[SECOND]) == OLD
    assert record.phase == intents.CLEAR
    reading.release()
    inner.close()
