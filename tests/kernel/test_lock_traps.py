"""What a lock does when it is used almost right: the traps behind the rules of the lab."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sysv_ipc

from common.kernel.libc import bare, pthreads
from common.kernel.locks import sysv_sem
from common.kernel.objects import Maker
from common.kernel.waits import Wait
from tests.conftest import Fork


def as_the_lab_does(key: int) -> None:
    """SEM_UNDO on both."""
    lock = sysv_sem.attach({"key": key, "undo": True}, Wait(1.0), "the till")
    lock.acquire()
    lock.release()


def undo_of_the_wait_alone(key: int) -> None:
    """The kernel remembers the wait, and nothing that makes up for it."""
    semaphore = sysv_ipc.Semaphore(key)
    semaphore.undo = True
    semaphore.acquire()
    semaphore.undo = False
    semaphore.release()


@pytest.mark.parametrize(("enter", "value"), [(as_the_lab_does, 1), (undo_of_the_wait_alone, 4)])
def test_undo_belongs_to_both_or_to_none(
    enter: Callable[[int], None], value: int, maker: Maker, wait: Wait, fork: Fork
) -> None:
    """With undo of the wait alone each process that ends lets one more in: 1, 2, 3, 4."""
    key = maker.sysv_sem(1)
    for _ in range(3):
        assert fork(lambda: enter(key)).ended() == 0
    address = {"key": key, "undo": True}
    assert sysv_sem.value(address) == value
    inside = [sysv_sem.attach(address, wait, "the till") for _ in range(value)]
    for lock in inside:
        take = lock.quick.take
        assert take is not None
        take()
    with pytest.raises(sysv_ipc.BusyError):
        inside[0].quick.take()  # type: ignore[misc]


@contextmanager
def mapped(path: Path) -> Iterator[mmap.mmap]:
    """Map the first page of a file; a view of it that is left must be released."""
    with path.open("r+b") as file, mmap.mmap(file.fileno(), mmap.PAGESIZE) as memory:
        yield memory


def address(memory: mmap.mmap) -> int:
    """Return where it lies; nothing keeps it mapped."""
    with memoryview(memory) as view:
        return bare.address_of(view)


@pytest.fixture
def mutex(tmp_path: Path) -> Path:
    """Return a file with a free robust mutex in it, which nobody has mapped."""
    path = tmp_path / "mutex"
    path.write_bytes(bytes(mmap.PAGESIZE))
    with mapped(path) as memory:
        pthreads.init_mutex(address(memory), robust=True)
    return path


def test_a_robust_mutex_in_a_file_is_marked_though_nobody_else_has_it_mapped(
    mutex: Path, fork: Fork
) -> None:
    """The word lies in the file: whoever maps it later is told that its owner died."""

    def die_inside() -> None:
        with mapped(mutex) as memory:
            assert pthreads.mutex_calls(bare.pointer(address(memory))).lock() is None
            os._exit(0)

    assert fork(die_inside).ended() == 0
    with mapped(mutex) as memory:
        pointer = bare.pointer(address(memory))
        assert pthreads.mutex_calls(pointer).lock() == errno.EOWNERDEAD
        pthreads.consistent(pointer)
        assert pthreads.mutex_calls(pointer).unlock() is None


def test_a_robust_mutex_that_was_unmapped_while_held_stays_shut(mutex: Path, fork: Fork) -> None:
    """The kernel follows the dying process's list into memory that is gone, and marks nothing."""

    def unmap_and_die() -> None:
        with mapped(mutex) as memory:
            assert pthreads.mutex_calls(bare.pointer(address(memory))).lock() is None
        os._exit(0)

    child = fork(unmap_and_die)
    assert child.ended() == 0
    with mapped(mutex) as memory:
        assert pthreads.mutex_calls(bare.pointer(address(memory))).lock() == errno.EBUSY
        with memoryview(memory).cast("I") as words:
            assert pthreads.robust_owner(words) == child.pid


@pytest.mark.parametrize("call", [fcntl.flock, fcntl.lockf], ids=["flock", "fcntl"])
def test_a_lock_file_that_is_made_anew_lets_two_in(
    call: Callable[[int, int], None], tmp_path: Path, fork: Fork
) -> None:
    """A lock is the inode's and not the name's: so the lab refuses a file that was replaced."""
    path = tmp_path / "lock"
    with path.open("w") as first:
        call(first.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)

        def enter() -> None:
            with path.open("r+") as file:
                call(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)

        def stay_out() -> None:
            with pytest.raises(BlockingIOError):
                enter()

        assert fork(stay_out).ended() == 0
        path.unlink()
        path.touch()
        assert fork(enter).ended() == 0
