"""What only a POSIX queue does: its own limits, and an alarm for one receiver at a time."""

from __future__ import annotations

import os
import resource
import select
import signal
import threading
from collections.abc import Callable
from typing import Any

import posix_ipc
import pytest

from common.errors import MachineError, WaitExpired
from common.kernel import limits, waits
from common.kernel.channels import posix_queue
from common.kernel.objects import Maker
from common.kernel.waits import Wait
from common.process import inspect
from tests.conftest import PATIENCE, Child, Fork

SIZE = 64
WHAT = "channel orders"
LOCK = {"kind": "none", "at": {}}
SHORT = 0.2
NEVER = 1000.0
WAITING = ("poll", "timed", "notify")


def frame(number: int) -> bytes:
    return b"%063d\n" % number


def build(maker: Maker, **options: Any) -> dict[str, Any]:
    return posix_queue.make(posix_queue.Options(**options), SIZE, LOCK, maker)


def opened(address: dict[str, Any], mode: str, seconds: float) -> posix_queue.PosixQueue:
    return posix_queue.attach(address, mode, Wait(seconds), WHAT)


def test_the_most_urgent_has_the_highest_priority(maker: Maker) -> None:
    """As the lecture has it; any other program sees the same numbers."""
    address = build(maker, priorities=3)
    queue = opened(address, "send", SHORT)
    for priority in (0, 2, 1, 99, -5):
        queue.send(frame(priority + 5), priority)
    foreign = posix_ipc.MessageQueue(address["name"])
    taken = [foreign.receive(0) for _ in range(5)]
    assert taken == [
        (frame(7), 2), (frame(104), 2), (frame(6), 1), (frame(5), 0), (frame(0), 0),
    ]  # fmt: skip
    foreign.close()
    queue.close()


def test_without_priorities_all_are_equal(maker: Maker) -> None:
    """What the sender asks for changes nothing."""
    address = build(maker)
    queue = opened(address, "send", SHORT)
    queue.send(frame(0), 4)
    foreign = posix_ipc.MessageQueue(address["name"])
    assert foreign.receive(0) == (frame(0), 0)
    foreign.close()
    queue.close()


def test_capacity_is_what_the_queue_holds(maker: Maker) -> None:
    """Two messages, and the third finds no room."""
    queue = opened(build(maker, capacity=2), "send", SHORT)
    queue.send(frame(0))
    queue.send(frame(1))
    with pytest.raises(WaitExpired, match=f"room in {WHAT}"):
        queue.send(frame(2))
    queue.close()


@pytest.mark.parametrize("waiting", WAITING)
def test_each_way_of_waiting_keeps_its_deadline(waiting: str, maker: Maker) -> None:
    """On an empty queue and on a full one, in CLOCK_MONOTONIC."""
    address = build(maker, capacity=1, waiting=waiting)
    sender, receiver = opened(address, "send", SHORT), opened(address, "receive", SHORT)
    with pytest.raises(WaitExpired, match=f"a message in {WHAT}"):
        receiver.receive()
    sender.send(frame(0))
    with pytest.raises(WaitExpired, match=f"room in {WHAT}"):
        sender.send(frame(1))
    assert receiver.receive() == frame(0)
    sender.close()
    receiver.close()


def asleep(child: Child, what: int) -> None:
    """Wait until the child has said that it waits, and the kernel says that it sleeps."""
    poll = select.poll()
    poll.register(what, select.POLLIN)
    assert poll.poll(PATIENCE * 1000)
    os.read(what, 1)
    while inspect.letter(child.pid) != "S":
        os.sched_yield()


def receiving(
    address: dict[str, Any], writing: int, result: int, count: int = 1
) -> Callable[[], None]:
    """Return the work of a receiver that says when it waits, and passes on what it gets."""

    def work() -> None:
        def tell(what: str) -> None:
            if what:
                os.write(writing, b"w")

        queue = posix_queue.attach(address, "receive", Wait(NEVER, tell), WHAT)
        for _ in range(count):
            os.write(result, queue.receive() or b"")

    return work


@pytest.mark.parametrize("waiting", WAITING)
def test_a_message_wakes_whoever_waits(
    waiting: str, maker: Maker, fork: Fork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel wakes it, again and again: no tick and no deadline is near."""
    monkeypatch.setattr(waits, "TICK", NEVER)
    address = build(maker, waiting=waiting)
    (said, saying), (got, giving) = os.pipe(), os.pipe()
    child = fork(receiving(address, saying, giving, 20))
    sender = opened(address, "send", PATIENCE)
    for number in range(20):
        asleep(child, said)
        sender.send(frame(number))
        assert os.read(got, SIZE) == frame(number)
    assert child.ended() == 0
    sender.close()
    for fd in (said, saying, got, giving):
        os.close(fd)


def test_an_alarm_for_what_another_took_is_followed_by_the_next(
    maker: Maker, fork: Fork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its alarm a registration ends: who finds nothing registers again before it waits on."""
    monkeypatch.setattr(waits, "TICK", NEVER)
    address = build(maker, waiting="notify")
    (said, saying), (got, giving) = os.pipe(), os.pipe()
    child = fork(receiving(address, saying, giving))
    asleep(child, said)
    child.kill(signal.SIGSTOP)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED)
    sender, thief = opened(address, "send", PATIENCE), opened(address, "receive", PATIENCE)
    sender.send(frame(0))
    assert thief.receive() == frame(0)
    child.kill(signal.SIGCONT)
    while inspect.letter(child.pid) != "S":
        os.sched_yield()
    sender.send(frame(1))
    assert os.read(got, SIZE) == frame(1)
    assert child.ended() == 0
    sender.close()
    thief.close()
    for fd in (said, saying, got, giving):
        os.close(fd)


def test_two_receivers_are_both_woken_though_one_only_can_be_alarmed(
    maker: Maker, fork: Fork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second finds EBUSY and polls; two messages reach both, whoever is faster."""
    monkeypatch.setattr(waits, "TICK", NEVER)
    address = build(maker, waiting="notify")
    pipes = [(os.pipe(), os.pipe()) for _ in range(2)]
    children = []
    for (said, saying), (_got, giving) in pipes:
        children.append(fork(receiving(address, saying, giving)))
        asleep(children[-1], said)
    # The first has the registration: nobody else can have it.
    foreign = posix_ipc.MessageQueue(address["name"])
    with pytest.raises(posix_ipc.BusyError):
        foreign.request_notification(signal.SIGUSR2)
    foreign.close()
    sender = opened(address, "send", PATIENCE)
    sender.send(frame(0))
    sender.send(frame(1))
    assert sorted(os.read(got, SIZE) for _, (got, _) in pipes) == [frame(0), frame(1)]
    assert [child.ended() for child in children] == [0, 0]
    sender.close()
    for ends in pipes:
        for fd in (*ends[0], *ends[1]):
            os.close(fd)


def test_after_a_wait_registration_and_signal_mask_are_as_before(maker: Maker, fork: Fork) -> None:
    """Others can have themselves alarmed, and no alarm is left pending."""
    address = build(maker, waiting="notify")
    foreign = posix_ipc.MessageQueue(address["name"])
    (done, doing), (go, going) = os.pipe(), os.pipe()

    def work() -> None:
        receiver = opened(address, "receive", SHORT)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        with pytest.raises(WaitExpired):
            receiver.receive()
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
        assert posix_queue.ALARM not in signal.sigpending()
        os.write(doing, b"d")
        os.read(go, 1)

    child = fork(work)
    assert os.read(done, 1) == b"d"
    foreign.request_notification(signal.SIGUSR2)
    foreign.request_notification(None)
    os.write(going, b"g")
    assert child.ended() == 0
    foreign.close()
    for fd in (done, doing, go, going):
        os.close(fd)


def test_a_process_with_more_threads_is_not_alarmed(maker: Maker, fork: Fork) -> None:
    """Another of its threads would take the alarm, and the process die of it: it polls."""
    address = build(maker, waiting="notify")
    (said, saying), (got, giving) = os.pipe(), os.pipe()

    def work() -> None:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        receiving(address, saying, giving)()

    child = fork(work)
    asleep(child, said)
    foreign = posix_ipc.MessageQueue(address["name"])
    foreign.request_notification(signal.SIGUSR2)  # EBUSY if it had registered
    foreign.request_notification(None)
    foreign.close()
    sender = opened(address, "send", PATIENCE)
    sender.send(frame(1))
    assert os.read(got, SIZE) == frame(1)
    assert child.ended() == 0
    sender.close()
    for fd in (said, saying, got, giving):
        os.close(fd)


def test_what_can_never_be_made_is_refused_beforehand() -> None:
    """Over msgsize_max, over msg_max, or over what a user's queues may have in all."""
    largest, most = limits.mqueue("msgsize_max"), limits.mqueue("msg_max")
    assert largest is not None
    assert most is not None
    options = posix_queue.Options
    assert posix_queue.check(options(capacity=1), largest) == ""
    assert "msgsize_max" in posix_queue.check(options(capacity=1), largest + 1)
    assert posix_queue.check(options(capacity=most), 1) == ""
    assert "msg_max" in posix_queue.check(options(capacity=most + 1), 1)


def test_a_user_may_have_so_many_bytes_of_queues(maker: Maker, fork: Fork) -> None:
    """What a queue counts is what the kernel counts, to the byte; the error names the limit."""

    def check() -> None:
        size = posix_queue.charge(posix_queue.Options(capacity=10), SIZE)
        resource.setrlimit(resource.RLIMIT_MSGQUEUE, (size, size))
        os.setresuid(64321, 64321, 64321)  # a user without other queues
        assert posix_queue.check(posix_queue.Options(capacity=10), SIZE) == ""
        assert "RLIMIT_MSGQUEUE" in posix_queue.check(posix_queue.Options(capacity=10), SIZE + 1)
        name = f"/lab-test-{os.getpid()}"
        queue = posix_ipc.MessageQueue(name, posix_ipc.O_CREX, 0o600, 10, SIZE)
        queue.unlink()
        queue.close()
        with pytest.raises(OSError, match="open"):
            posix_ipc.MessageQueue(name, posix_ipc.O_CREX, 0o600, 10, SIZE + 1)

    if os.geteuid() != 0:
        pytest.skip("needs to become a user without other queues")
    assert fork(check).ended() == 0


def test_too_many_queues_name_the_limit(maker: Maker, fork: Fork) -> None:
    """The kernel says too many open files and means RLIMIT_MSGQUEUE, which is told."""

    def check() -> None:
        resource.setrlimit(resource.RLIMIT_MSGQUEUE, (1, 1))
        with pytest.raises(MachineError, match="RLIMIT_MSGQUEUE"):
            maker.posix_queue(10, SIZE)

    assert fork(check).ended() == 0
