"""The system calls behind ctypes do what their manual pages say."""

from __future__ import annotations

import errno
import os
import select
import signal
from collections.abc import Callable

import pytest
import sysv_ipc

from common.kernel import libc
from common.kernel.objects import Maker
from tests.conftest import PATIENCE, Fork, Signpost


def opened(key: int) -> sysv_ipc.Semaphore:
    return sysv_ipc.Semaphore(key)


def test_several_operations_happen_all_or_none(maker: Maker) -> None:
    """The second cannot be done at once, so the first is not done either."""
    semaphore = opened(maker.sysv_sem(1))
    assert libc.semtimedop(semaphore.id, [(0, -1, 0), (0, -1, 0)], 0.01) is False
    assert semaphore.value == 1
    assert libc.semtimedop(semaphore.id, [(0, -1, 0), (0, 0, 0), (0, 2, 0)], None) is True
    assert semaphore.value == 2


def test_an_operation_that_would_block_says_no_at_once_or_after_its_time(maker: Maker) -> None:
    """False in both ways; the value is as it was."""
    semaphore = opened(maker.sysv_sem(0))
    assert libc.semtimedop(semaphore.id, [(0, -1, libc.IPC_NOWAIT)], None) is False
    assert libc.semtimedop(semaphore.id, [(0, -1, 0)], 0) is False
    assert libc.semtimedop(semaphore.id, [(0, -1, 0)], 0.01) is False
    assert semaphore.value == 0


def test_a_signal_ends_the_call(maker: Maker) -> None:
    """Semop is never restarted; without a limit only the signal can have ended it."""
    semaphore = opened(maker.sysv_sem(0))
    heard = []
    before = signal.signal(signal.SIGALRM, lambda number, _: heard.append(number))
    try:
        # Again and again, for one that comes before the call is missed by it.
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
        assert libc.semtimedop(semaphore.id, [(0, -1, 0)], None) is False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert heard


def test_a_missing_set_is_an_error_with_its_number(maker: Maker) -> None:
    """EINVAL or EIDRM, which both packages' exceptions lack."""
    semaphore = opened(maker.sysv_sem(0))
    maker.remove_all()
    with pytest.raises(OSError, match=r"removed|Invalid") as caught:
        libc.semtimedop(semaphore.id, [(0, -1, 0)], 1)
    assert caught.value.errno in (errno.EINVAL, errno.EIDRM)


def test_a_child_ends_with_its_parent(fork: Fork, signpost: Callable[[], Signpost]) -> None:
    """The parent is killed; its child's end of a pipe closes, though nobody told the child."""
    told = signpost()
    life, leash = os.pipe(), os.pipe()

    def parent() -> None:
        pid = os.getpid()
        if os.fork() == 0:
            libc.prctl_die_with_parent(signal.SIGKILL, pid)
            os.close(life[0])
            os.close(leash[1])
            told.show("r")
            # Until the test itself ends, should the call under test do nothing.
            os.read(leash[0], 1)
            os._exit(0)
        signal.pause()

    child = fork(parent)
    os.close(life[1])
    told.see("r")
    child.kill()
    assert child.ended() == -signal.SIGKILL
    poll = select.poll()
    poll.register(life[0])
    # Hung up: the last process that held the write end is gone.
    assert poll.poll(PATIENCE * 1000) == [(life[0], select.POLLHUP)]
    for fd in (life[0], *leash):
        os.close(fd)


def test_a_child_whose_parent_has_ended_before_it_asked_ends_at_once(
    fork: Fork, signpost: Callable[[], Signpost]
) -> None:
    """The kernel would tell it nothing any more: it was stopped, say, before it came to ask."""
    gone = signpost()
    life = os.pipe()

    def parent() -> None:
        pid = os.getpid()
        if os.fork() == 0:
            os.close(life[0])
            gone.see("g")
            libc.prctl_die_with_parent(signal.SIGKILL, pid)
            signal.pause()

    assert fork(parent).ended() == 0
    gone.show("g")
    os.close(life[1])
    poll = select.poll()
    poll.register(life[0])
    assert poll.poll(PATIENCE * 1000) == [(life[0], select.POLLHUP)]
    os.close(life[0])


def test_a_forked_child_of_a_test_never_outlives_its_runner(
    fork: Fork, signpost: Callable[[], Signpost]
) -> None:
    """A runner that is killed takes along the children of its test, which may wait or spin."""
    told = signpost()
    life, leash = os.pipe(), os.pipe()

    def live() -> None:
        os.close(life[0])
        os.close(leash[1])
        told.show("r")
        # Until the test itself ends, should nobody kill this child.
        os.read(leash[0], 1)

    def runner() -> None:
        fork(live)
        signal.pause()

    child = fork(runner)
    os.close(life[1])
    told.see("r")
    child.kill()
    assert child.ended() == -signal.SIGKILL
    poll = select.poll()
    poll.register(life[0])
    assert poll.poll(PATIENCE * 1000) == [(life[0], select.POLLHUP)]
    for fd in (life[0], *leash):
        os.close(fd)
