"""Locks on files: whose they are, who is told to hold one, and how a wait for one ends."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common import kinds
from common.errors import KernelObjectError, ObjectVanished, WaitExpired
from common.kernel import waits
from common.kernel.locks import Lock, record_lock
from common.kernel.objects import Maker
from common.kernel.waits import Wait
from tests.conftest import PATIENCE, Fork, Signpost

KINDS = ("record_lock", "ofd_lock", "flock")
# Seconds until a wait that must be in vain is given up.
SHORT = 0.15
# So long a tick that only the kernel's own wake-up can end a wait before the test's time is up.
NEVER = 1000.0

Posts = Callable[[], Signpost]


class Made:
    """Two locks of one kind, made together; ``open`` attaches one of them."""

    def __init__(self, kind: str, maker: Maker) -> None:
        self.kind = kind
        self.module = kinds.load(kinds.LOCKS, kind)
        if hasattr(self.module, "make_rows"):
            self.rows = self.module.make_rows(self.module.Options(), 2, maker)
        else:
            self.rows = [self.module.make(self.module.Options(), maker) for _ in range(2)]

    def open(self, row: int = 0, wait: Wait | None = None) -> Lock:
        lock: Lock = self.module.attach(self.rows[row], wait or Wait(PATIENCE), f"row {row}")
        return lock


@pytest.fixture(params=KINDS)
def made(request: pytest.FixtureRequest, maker: Maker) -> Made:
    return Made(request.param, maker)


@pytest.fixture
def records(maker: Maker) -> Made:
    return Made("record_lock", maker)


class Elsewhere:
    """Tells how things stand for another process: one that opens the locks and asks."""

    def __init__(self, fork: Fork) -> None:
        self._fork = fork

    def answers(self, ask: Callable[[], bool]) -> bool:
        def work() -> None:
            os._exit(7 if ask() else 0)

        status = self._fork(work).ended()
        assert status in (0, 7)
        return status == 7

    def shut(self, made: Made, row: int = 0, reading: bool = False) -> bool:
        def ask() -> bool:
            lock = made.open(row, Wait(SHORT))
            try:
                (lock.reading if reading else lock).acquire()
            except WaitExpired:
                return True
            return False

        return self.answers(ask)


@pytest.fixture
def elsewhere(fork: Fork) -> Elsewhere:
    return Elsewhere(fork)


def holding(fork: Fork, posts: Posts, take: Callable[[], object]) -> tuple[Any, Signpost]:
    """Start a child that has taken what ``take`` takes, and keeps it until it is shown "g"."""
    told, may = posts(), posts()

    def hold() -> None:
        take()
        told.show("h")
        may.see("g")

    child = fork(hold)
    told.see("h")
    return child, may


def ready(lock: Lock) -> bool:
    """Say whether ``lock`` could be taken now, as a scheduler is told."""
    assert lock.taking is not None
    assert lock.taking.ready is not None
    return lock.taking.ready()


def descriptors(path: str) -> int:
    found = 0
    for link in Path("/proc/self/fd").iterdir():
        # The listing itself has a descriptor that is gone when it is looked at.
        found += os.path.lexists(link) and os.readlink(link) == path  # noqa: PTH115
    return found


# Whose lock it is


def test_closing_one_row_keeps_the_other_rows_of_the_process(
    made: Made, elsewhere: Elsewhere
) -> None:
    """With fcntl(2) any descriptor that is closed would drop all of them."""
    first, second = made.open(0), made.open(1)
    first.acquire()
    second.acquire()
    first.close()
    assert elsewhere.shut(made, 1)
    assert not elsewhere.shut(made, 0)
    second.close()
    assert not elsewhere.shut(made, 1)


def test_a_process_has_the_file_of_record_locks_open_once(records: Made) -> None:
    """For as many handles as it has, and until the last of them is closed."""
    path = records.rows[0]["path"]
    handles = [records.open(row) for row in (0, 1, 0)]
    assert descriptors(path) == 1
    handles.pop().close()
    handles.pop().close()
    assert descriptors(path) == 1
    handles.pop().close()
    assert descriptors(path) == 0


def test_to_ask_about_a_lock_takes_it_from_nobody(made: Made, elsewhere: Elsewhere) -> None:
    """Not from the process that asks either, which has it open already."""
    lock = made.open()
    lock.acquire()
    made.module.value(made.rows[0])
    made.module.holder(made.rows[0])
    ready(lock)
    made.open(1).close()
    assert elsewhere.shut(made)


def test_what_another_process_holds_is_not_ready_and_stands_at_0(
    made: Made, fork: Fork, signpost: Posts
) -> None:
    """And 1, and ready, before and afterwards; to look does not take it."""
    lock = made.open()
    value = made.module.value
    assert (value(made.rows[0]), ready(lock)) == (1, True)
    child, may = holding(fork, signpost, lambda: made.open().acquire())
    assert (value(made.rows[0]), ready(lock)) == (0, False)
    assert value(made.rows[1]) == 1
    may.show("g")
    assert child.ended() == 0
    assert (value(made.rows[0]), ready(lock)) == (1, True)


def test_the_holder_is_told_where_the_lock_belongs_to_a_process(
    made: Made, fork: Fork, signpost: Posts
) -> None:
    """An open file description may be several processes': of that kind the kernel names none."""
    holder = made.module.holder
    assert holder(made.rows[0]) is None
    child, may = holding(fork, signpost, lambda: made.open().acquire())
    assert holder(made.rows[0]) == (None if made.kind == "ofd_lock" else child.pid)
    assert holder(made.rows[1]) is None
    may.show("g")
    assert child.ended() == 0
    assert holder(made.rows[0]) is None


def test_a_waiter_is_not_taken_for_the_holder(maker: Maker, fork: Fork) -> None:
    """/proc/locks lists both, and the one who waits under the number of the other."""
    made = Made("flock", maker)
    lock = made.open()
    lock.acquire()
    waiter = fork(lambda: made.open().acquire())
    wait_until_listed(waiter.pid)
    assert made.module.holder(made.rows[0]) == os.getpid()
    lock.release()
    assert waiter.ended() == 0


def test_a_lock_that_was_taken_by_its_bare_calls_is_abandoned(
    made: Made, elsewhere: Elsewhere
) -> None:
    """Who leaves in the middle of a loop that is measured has taken it in no other way."""
    for lock in (made.open(), made.open().reading):
        assert lock.quick.take is not None
        lock.quick.take()
        assert elsewhere.shut(made)
        lock.abandon()
        assert not elsewhere.shut(made)
        with pytest.raises(KernelObjectError, match="does not hold"):
            lock.release()


def test_a_child_that_lets_go_of_its_own_handle_leaves_its_parents_lock_alone(
    made: Made, elsewhere: Elsewhere
) -> None:
    """What is open in the parent is listed in the child as well, and is not the child's."""
    lock = made.open()
    lock.acquire()

    def come_and_go() -> bool:
        made.open().close()
        made.open(1).acquire()
        return True

    assert elsewhere.answers(come_and_go)
    assert elsewhere.shut(made)


# Reading


def test_readers_hold_it_together_and_keep_a_writer_out(made: Made, elsewhere: Elsewhere) -> None:
    """Until the last of them has gone."""
    lock = made.open()
    lock.reading.acquire()
    assert not elsewhere.shut(made, reading=True)
    assert elsewhere.shut(made)
    lock.reading.release()
    assert not elsewhere.shut(made)


def test_a_writer_keeps_readers_out(made: Made, elsewhere: Elsewhere) -> None:
    """The other row's are none of its business."""
    lock = made.open()
    lock.acquire()
    assert elsewhere.shut(made, reading=True)
    assert not elsewhere.shut(made, 1, reading=True)


def test_a_reader_is_ready_beside_a_reader_and_a_writer_is_not(
    made: Made, fork: Fork, signpost: Posts
) -> None:
    """What a scheduler is told is what the call would do."""
    child, may = holding(fork, signpost, lambda: made.open().reading.acquire())
    lock = made.open()
    assert [ready(each) for each in (lock, lock.reading)] == [False, True]
    may.show("g")
    assert child.ended() == 0


# Waiting


def test_the_kernel_wakes_who_waits(
    made: Made, fork: Fork, signpost: Posts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No tick and no deadline is near: nothing but the release can end the wait."""
    monkeypatch.setattr(waits, "TICK", NEVER)
    lock, told = made.open(), signpost()
    lock.acquire()

    def stand() -> None:
        wait = Wait(NEVER, lambda what: told.show("w") if what else None)
        made.open(0, wait).acquire()

    child = fork(stand)
    told.see("w")
    lock.release()
    assert child.ended() == 0


def test_a_wait_leaves_the_processor_alone(made: Made, elsewhere: Elsewhere) -> None:
    """Several ticks of waiting cost a small part of the time waited."""
    made.open().acquire()

    def idle() -> bool:
        lock = made.open(0, Wait(6 * waits.TICK))
        before = time.process_time()
        with pytest.raises(WaitExpired):
            lock.acquire()
        return time.process_time() - before < 2 * waits.TICK

    assert elsewhere.answers(idle)


def test_a_wait_leaves_the_timer_and_its_signal_as_they_were(
    made: Made, elsewhere: Elsewhere
) -> None:
    """They are the process's, and it may use them."""
    made.open().acquire()

    def handle(_number: int, _frame: object) -> None:
        pass

    def wait_in_vain() -> bool:
        signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE, PATIENCE)
        with pytest.raises(WaitExpired):
            made.open(0, Wait(SHORT)).acquire()
        _, interval = signal.getitimer(signal.ITIMER_REAL)
        return interval == PATIENCE and signal.getsignal(signal.SIGALRM) is handle

    assert elsewhere.answers(wait_in_vain)


def test_a_circle_of_record_locks_is_refused_and_names_the_lock(
    records: Made, fork: Fork, signpost: Posts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel sees that each would wait for the other; a deadline is not needed (EDEADLK)."""
    # A waiter that a tick has just woken waits for nothing at that moment.
    monkeypatch.setattr(waits, "TICK", NEVER)
    mine, told = records.open(0), signpost()
    mine.acquire()

    def stand() -> None:
        records.open(1).acquire()
        told.show("h")
        records.open(0).acquire()

    child = fork(stand)
    told.see("h")
    wait_until_listed(child.pid)
    with pytest.raises(KernelObjectError, match=r"row 1: refused.*EDEADLK"):
        records.open(1).acquire()
    mine.release()
    assert child.ended() == 0


def wait_until_listed(pid: int) -> None:
    """Return once /proc/locks lists ``pid`` among those who wait for a lock."""
    while True:
        for line in Path("/proc/locks").read_text().splitlines():
            fields = line.split()
            if fields[1] == "->" and fields[5] == str(pid):
                return
        os.sched_yield()


# The file


def test_a_file_that_was_removed_or_replaced_is_no_lock_for_a_newcomer(made: Made) -> None:
    """Its lock and that of the file that has its name now would let two in."""
    path, value = Path(made.rows[0]["path"]), made.module.value
    lock = made.open()
    kept = path.read_bytes()
    path.unlink()
    with pytest.raises(ObjectVanished, match=r"row 0.*gone"):
        made.open()
    assert value(made.rows[0]) is None
    # A new inode, though the old one's number were free.
    (path.parent / "another").write_bytes(kept)
    (path.parent / "another").rename(path)
    with pytest.raises(ObjectVanished, match=r"row 0.*replaced"):
        made.open()
    assert value(made.rows[0]) is None
    path.unlink()
    lock.close()


def test_a_removed_file_goes_on_for_those_who_have_it_open(
    made: Made, fork: Fork, signpost: Posts
) -> None:
    """A scheduler is told of it, too: the other one has it, then not."""
    told, may = signpost(), signpost()
    lock = made.open()

    def hold() -> None:
        other = made.open()
        told.show("o")
        may.see("g")
        other.acquire()
        told.show("h")
        may.see("g")

    child = fork(hold)
    told.see("o")
    Path(made.rows[0]["path"]).unlink()
    may.show("g")
    told.see("h")
    assert not ready(lock)
    may.show("g")
    assert child.ended() == 0
    lock.acquire()


def test_rows_of_record_locks_are_bytes_of_one_file(maker: Maker) -> None:
    """However many rows: one object, and row n is byte n, as another program may use it."""
    rows = record_lock.make_rows(record_lock.Options(), 5, maker)
    assert [row["at"] for row in rows] == [0, 1, 2, 3, 4]
    assert len({row["path"] for row in rows}) == 1
    assert [entry["kind"] for entry in maker.objects()] == ["lock_file"]
