"""POSIX queues, semaphores and memory by the bare calls, as their manual pages say."""

from __future__ import annotations

import errno
import mmap
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from common.kernel.libc import mqueue, posix_calls
from common.kernel.objects import Maker
from tests.conftest import PATIENCE, Fork, Signpost


@pytest.fixture
def queue(maker: Maker) -> Iterator[int]:
    """Yield the descriptor of an empty queue of 2 messages of 8 bytes."""
    descriptor = mqueue.mq_open(maker.posix_queue(2, 8), os.O_RDWR)
    yield descriptor
    mqueue.mq_close(descriptor)


def number(call: Callable[[], object]) -> int | None:
    """Return the errno of a call that has to fail."""
    with pytest.raises(OSError) as caught:  # noqa: PT011
        call()
    return caught.value.errno


def test_a_message_goes_through_with_its_priority(queue: int) -> None:
    """Zero bytes within and none at all; the attributes count them."""
    mqueue.mq_send(queue, b"a\0b", 3)
    mqueue.mq_send(queue, b"", mqueue.PRIORITY_MAX - 1)
    assert mqueue.mq_getattr(queue) == (0, 2, 8, 2)
    assert mqueue.mq_receive(queue, 8) == (b"", mqueue.PRIORITY_MAX - 1)
    assert mqueue.mq_receive(queue, 8, PATIENCE) == (b"a\0b", 3)


def test_time_and_non_blocking_end_a_wait(queue: int) -> None:
    """ETIMEDOUT at an empty and at a full queue, EAGAIN once O_NONBLOCK is set."""
    assert number(lambda: mqueue.mq_receive(queue, 8, 0.01)) == errno.ETIMEDOUT
    mqueue.mq_send(queue, b"x")
    mqueue.mq_send(queue, b"x")
    assert number(lambda: mqueue.mq_send(queue, b"x", 0, 0.01)) == errno.ETIMEDOUT
    assert mqueue.mq_setattr(queue, os.O_NONBLOCK) == (0, 2, 8, 2)
    assert number(lambda: mqueue.mq_send(queue, b"x")) == errno.EAGAIN


def test_a_limit_lies_in_the_future(
    queue: int, fork: Fork, signpost: Callable[[], Signpost]
) -> None:
    """A receiver with time waits for the message that is sent once it sleeps."""
    about = signpost()

    def receive() -> None:
        about.show("r")
        assert mqueue.mq_receive(queue, 8, PATIENCE) == (b"late", 0)

    child = fork(receive)
    about.see("r")
    # Asleep in the call, or ended because the call did not wait.
    while Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0] not in "SZ":
        os.sched_yield()
    mqueue.mq_send(queue, b"late")
    assert child.ended() == 0


def test_a_registration_is_exclusive_and_can_be_removed(queue: int, fork: Fork) -> None:
    """EBUSY for another process, until NULL; with a signal, the message brings it."""
    heard: list[int] = []
    before = signal.signal(signal.SIGUSR2, lambda signum, _: heard.append(signum))
    try:
        mqueue.mq_notify(queue, 0)
        other = fork(lambda: mqueue.mq_notify(queue, 0))
        assert other.ended() == 1
        mqueue.mq_notify(queue, None)
        assert fork(lambda: mqueue.mq_notify(queue, 0)).ended() == 0
        mqueue.mq_notify(queue, signal.SIGUSR2)
        mqueue.mq_send(queue, b"x")
        assert heard == [signal.SIGUSR2]
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_a_name_is_refused_with_its_number() -> None:
    """Missing, without a slash, with two, and too long: what the package does not tell apart."""
    assert number(lambda: mqueue.mq_open("/lab-00000000-0", os.O_RDWR)) == errno.ENOENT
    assert number(lambda: mqueue.mq_open("lab", os.O_RDWR)) == errno.EINVAL
    assert number(lambda: mqueue.mq_open("/lab/0", os.O_RDWR)) == errno.EACCES
    assert number(lambda: mqueue.mq_open("/" + "0" * 256, os.O_RDWR)) == errno.ENAMETOOLONG
    assert number(lambda: posix_calls.sem_open("/lab/0")) == errno.EINVAL
    assert number(lambda: posix_calls.shm_open("/lab-00000000-0", os.O_RDWR)) == errno.ENOENT


def test_a_semaphore_without_a_name_works_between_processes(fork: Fork) -> None:
    """It lies in a shared mapping: a child posts, and the value is taken here once."""
    memory = mmap.mmap(-1, mmap.PAGESIZE)
    semaphore = posix_calls.sem_init(memory, shared=True)
    assert number(lambda: posix_calls.sem_trywait(semaphore)) == errno.EAGAIN
    assert fork(lambda: posix_calls.sem_post(semaphore)).ended() == 0
    posix_calls.sem_timedwait(semaphore, PATIENCE)
    assert posix_calls.sem_getvalue(semaphore) == 0
    assert number(lambda: posix_calls.sem_timedwait(semaphore, 0.01)) == errno.ETIMEDOUT


def test_what_the_library_offers_is_looked_up() -> None:
    """A function that exists is found, one with a slip in its name is not."""
    assert posix_calls.offered("sem_unlink")
    assert not posix_calls.offered("sm_unlink")
