"""What signals do and do not count, and to whom they are sent."""

from __future__ import annotations

import os
import resource
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from common import kinds
from common.errors import KernelObjectError, WaitExpired
from common.kernel.channels import signals
from common.kernel.objects import Maker
from common.kernel.waits import Wait
from tests.conftest import PATIENCE, Fork

SIZE = 64
WHAT = "channel orders"
SHORT = 0.2
NEVER = 1000.0

Make = Callable[..., dict[str, Any]]


def frame(number: int) -> bytes:
    return b"%063d\n" % number


@pytest.fixture
def make(maker: Maker) -> Make:
    def begin(**options: Any) -> dict[str, Any]:
        module = kinds.load(kinds.LOCKS, "sysv_sem")
        guard = {"kind": "sysv_sem", "at": module.make(module.Options(), maker)}
        return signals.make(signals.Options(**options), SIZE, guard, maker)

    return begin


def both(address: dict[str, Any], wait: Wait) -> tuple[signals.Signals, signals.Signals]:
    """Return a receiver and a sender of this process."""
    receiver = signals.attach(address, "receive", wait, WHAT)
    return receiver, signals.attach(address, "send", wait, WHAT)


def test_standard_signals_do_not_count(make: Make) -> None:
    """Ten jobs before the receiver looks: one signal, one job; the others lie there, untold."""
    wait = Wait(SHORT)
    receiver, sender = both(make(realtime=False), wait)
    for number in range(10):
        sender.send(frame(number))
    wait.finishing = True
    assert [receiver.receive(), receiver.receive()] == [frame(0), None]
    sender.close()
    receiver.close()


def test_realtime_signals_count(make: Make) -> None:
    """The same ten jobs all come, in order."""
    wait = Wait(SHORT)
    receiver, sender = both(make(), wait)
    for number in range(10):
        sender.send(frame(number))
    wait.finishing = True
    assert list(iter(receiver.receive, None)) == [frame(number) for number in range(10)]
    sender.close()
    receiver.close()


def test_what_does_not_fit_is_lost_where_signals_are(make: Make) -> None:
    """Nobody would ever make room: the third job is lost, and its sender does not wait."""
    address = make(realtime=False, slots=2)
    receiver, sender = both(address, Wait(SHORT))
    for number in range(3):
        sender.send(frame(number))
    assert not signals.facts(signals.Options(realtime=False)).bounded
    assert receiver.receive() == frame(0)
    with pytest.raises(WaitExpired):
        receiver.receive()
    sender.close()
    receiver.close()


def test_a_full_buffer_makes_its_sender_wait_where_none_is_lost(make: Make) -> None:
    """Room comes back with each job that is taken."""
    receiver, sender = both(make(slots=2), Wait(SHORT))
    sender.send(frame(0))
    sender.send(frame(1))
    with pytest.raises(WaitExpired, match=f"room in {WHAT}"):
        sender.send(frame(2))
    assert receiver.receive() == frame(0)
    sender.send(frame(2))
    assert [receiver.receive(), receiver.receive()] == [frame(1), frame(2)]
    sender.close()
    receiver.close()


@pytest.mark.parametrize("realtime", [False, True])
def test_a_second_receiver_is_refused(make: Make, realtime: bool) -> None:
    """With the pid of the first; once that has closed its end, another may have its place."""
    address = make(realtime=realtime)
    first = signals.attach(address, "receive", Wait(SHORT), WHAT)
    with pytest.raises(KernelObjectError, match=f"has a receiver already, process {os.getpid()}"):
        signals.attach(address, "receive", Wait(SHORT), WHAT)
    first.close()
    second, sender = both(address, Wait(SHORT))
    sender.send(frame(0))
    assert second.receive() == frame(0)
    sender.close()
    second.close()


def test_what_came_before_the_receiver_is_not_forgotten(make: Make) -> None:
    """Nobody could be told then: the receiver finds in the buffer how many there are."""
    wait = Wait(SHORT)
    address = make(realtime=False)
    sender = signals.attach(address, "send", wait, WHAT)
    for number in range(3):
        sender.send(frame(number))
    receiver = signals.attach(address, "receive", wait, WHAT)
    wait.finishing = True
    assert list(iter(receiver.receive, None)) == [frame(number) for number in range(3)]
    sender.close()
    receiver.close()


def test_a_dead_receiver_is_told_and_no_stranger_is_signalled(
    make: Make, fork: Fork, signpost: Any
) -> None:
    """The pid in the buffer counts with its start time only; a zombie is dead, too."""
    address = make()
    attached = signpost()

    def receive() -> None:
        signals.attach(address, "receive", Wait(NEVER), WHAT)
        attached.show("a")
        signal.pause()

    receiving = fork(receive)
    attached.see("a")
    sender = signals.attach(address, "send", Wait(NEVER), WHAT)
    sender.send(frame(0))
    receiving.kill()
    os.waitid(os.P_PID, receiving.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(KernelObjectError, match=f"{receiving.pid} has ended"):
        sender.send(frame(1))
    receiving.ended()
    late = signals.attach(address, "send", Wait(NEVER), WHAT)
    with pytest.raises(KernelObjectError, match=f"{receiving.pid} has ended"):
        late.send(frame(2))
    late.close()
    sender.close()


def test_a_pid_that_was_used_again_gets_no_signal(make: Make) -> None:
    """A living process under the receiver's pid that is not the receiver: its start differs."""
    address = make()
    receiver, sender = both(address, Wait(SHORT))
    receiver._slots.extra[signals._START] -= 1
    with pytest.raises(KernelObjectError, match="nobody receives"):
        sender.send(frame(0))
    assert signals.REALTIME not in signal.sigpending()
    sender.close()
    receiver.close()


def test_a_signal_of_somebody_else_is_no_job(make: Make, fork: Fork) -> None:
    """The buffer is empty: the receiver waits on."""
    address = make()
    wait = Wait(SHORT)
    receiver, sender = both(address, wait)
    # To this thread: others have it not blocked.
    signal.pthread_kill(threading.get_ident(), signals.REALTIME)
    with pytest.raises(WaitExpired):
        receiver.receive()
    sender.send(frame(1))
    assert receiver.receive() == frame(1)
    sender.close()
    receiver.close()


def test_the_mask_is_as_before_and_nothing_is_pending(make: Make) -> None:
    """Unblocked with a signal pending, the process would end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    receiver, sender = both(make(realtime=False), Wait(SHORT))
    sender.send(frame(0))
    receiver.close()
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
    sender.close()


def test_more_slots_than_signals_can_be_pending_are_refused(fork: Fork) -> None:
    """One signal too many would be discarded as a standard one is, without a word."""

    def check() -> None:
        resource.setrlimit(resource.RLIMIT_SIGPENDING, (50, 50))
        assert signals.check(signals.Options(slots=50), SIZE) == ""
        assert "ulimit -i" in signals.check(signals.Options(slots=51), SIZE)
        assert signals.check(signals.Options(slots=51, realtime=False), SIZE) == ""

    assert fork(check).ended() == 0


def test_many_senders_lose_nothing(make: Make, fork: Fork) -> None:
    """Three processes at once, through a buffer of eight slots."""
    address = make(slots=8)
    receiver = signals.attach(address, "receive", Wait(PATIENCE), WHAT)

    def send(base: int) -> Callable[[], None]:
        def work() -> None:
            sender = signals.attach(address, "send", Wait(PATIENCE), WHAT)
            for number in range(200):
                sender.send(frame(base + number))

        return work

    children = [fork(send(base)) for base in (0, 1000, 2000)]
    taken = [receiver.receive() for _ in range(600)]
    assert sorted(one or b"" for one in taken) == [
        frame(base + number) for base in (0, 1000, 2000) for number in range(200)
    ]
    assert [child.ended() for child in children] == [0, 0, 0]
    receiver.close()
