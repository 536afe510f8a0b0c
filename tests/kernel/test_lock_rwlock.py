"""What only a read-write lock knows: readers, who goes first, and who writes."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from common.errors import KernelObjectError, WaitExpired
from common.kernel import waits
from common.kernel.locks import _line, rwlock
from common.kernel.locks.rwlock import READERS, WRITERS
from common.kernel.objects import Maker
from common.kernel.waits import Wait
from tests.conftest import Fork, Signpost

SHORT = 0.15
PREFER = pytest.mark.parametrize("prefer", [READERS, WRITERS])
Posts = Callable[[], Signpost]


def make(prefer: str, maker: Maker) -> dict[str, object]:
    return rwlock.make(rwlock.Options(prefer=prefer), maker)


@PREFER
def test_who_goes_first_while_a_writer_waits(
    prefer: str,
    maker: Maker,
    wait: Wait,
    fork: Fork,
    signpost: Posts,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another reader overtakes it, or has to wait behind it; the writer gets the lock after all."""
    # At each tick a writer asks anew, and for that moment it does not stand in anybody's way.
    monkeypatch.setattr(waits, "TICK", wait.seconds)
    address = make(prefer, maker)
    told, may = signpost(), signpost()
    mine = rwlock.attach(address, Wait(SHORT), "the till")
    mine.reading.acquire()

    def write() -> None:
        publish = lambda what: told.show("w") if what else None  # noqa: E731
        lock = rwlock.attach(address, Wait(wait.seconds, publish), "the till")
        lock.acquire()
        told.show("h")
        may.see("g")
        lock.release()

    writer = fork(write)
    told.see("w")
    # It says so before it calls: it waits once the lock's own word says so, too.
    while _writers_flag(address) == 0:
        os.sched_yield()
    late = rwlock.attach(address, Wait(SHORT), "the till")
    ready = late.reading.taking.ready
    assert ready is not None
    assert ready() is (prefer == READERS)
    if prefer == READERS:
        late.reading.acquire()
        late.reading.release()
    else:
        with pytest.raises(WaitExpired):
            late.reading.acquire()
    late.close()
    mine.reading.release()
    told.see("h")
    assert rwlock.holder(address) == writer.pid
    may.show("g")
    assert writer.ended() == 0
    mine.close()


def _writers_flag(address: dict[str, object]) -> int:
    with _line.line(address) as line:
        return int(line.words[0]) & 2


@PREFER
def test_what_it_says_before_a_step_is_what_the_step_finds(prefer: str, maker: Maker) -> None:
    """Free, read and written: for a writer and for a reader, as a scheduler asks."""
    address = make(prefer, maker)
    lock, other = (rwlock.attach(address, Wait(SHORT), "the till") for _ in range(2))
    write, read = lock.taking.ready, lock.reading.taking.ready
    assert write is not None
    assert read is not None
    for side, expected in ((other.reading, (False, True)), (other, (False, False))):
        assert (write(), read()) == (True, True)
        side.acquire()
        assert (write(), read()) == expected
        side.release()
    assert (write(), read()) == (True, True)
    lock.close()
    other.close()


@PREFER
def test_only_of_a_writer_it_is_known_who_it_is(prefer: str, maker: Maker) -> None:
    """A reader is a number among others."""
    address = make(prefer, maker)
    lock = rwlock.attach(address, Wait(SHORT), "the till")
    lock.reading.acquire()
    assert (rwlock.value(address), rwlock.holder(address)) == (0, None)
    lock.reading.release()
    lock.acquire()
    assert (rwlock.value(address), rwlock.holder(address)) == (0, os.getpid())
    lock.release()
    assert (rwlock.value(address), rwlock.holder(address)) == (1, None)
    lock.close()


def test_a_writer_that_asks_again_is_told(maker: Maker) -> None:
    """EDEADLK, for writing and for reading."""
    lock = rwlock.attach(make(READERS, maker), Wait(SHORT), "the till")
    lock.acquire()
    for again in (lock.acquire, lock.reading.acquire):
        with pytest.raises(KernelObjectError, match="the till: this process holds it already"):
            again()
    lock.release()
    lock.close()


@PREFER
def test_a_reset_keeps_who_goes_first(prefer: str, maker: Maker) -> None:
    """The same attributes as at first, not the default ones (glibc's kind, in its 13th word)."""
    address = make(prefer, maker)
    with _line.line(address) as line:
        before = line.words.tolist()
    rwlock.reset(address)
    with _line.line(address) as line:
        assert line.words.tolist() == before
