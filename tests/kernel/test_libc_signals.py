"""The signal calls that Python does not offer."""

from __future__ import annotations

import os
import signal

import pytest

from common.kernel.libc import signals
from tests.conftest import Fork

USR1, REALTIME = signal.SIGUSR1, signal.SIGRTMIN


def test_a_value_comes_with_its_sender(fork: Fork) -> None:
    """What sigqueue() sends, sigtimedwait() takes: number, value, pid, uid, and why; then none."""

    def work() -> None:
        awaited = signals.SignalSet([REALTIME])
        signals.sigprocmask(signal.SIG_BLOCK, awaited)
        for value in (7, -7):
            signals.sigqueue(os.getpid(), REALTIME, value)
        for value in (7, -7):
            info = signals.sigtimedwait(awaited, 0)
            assert info is not None
            assert info[:5] == (REALTIME, signals.SI_QUEUE, os.getpid(), os.getuid(), value)
        assert signals.sigtimedwait(awaited, 0) is None

    assert fork(work).ended() == 0


def test_handlers_of_freed_signals_have_run_when_the_mask_is_set(fork: Fork) -> None:
    """sigprocmask() returns after the handlers of what it frees; sa_mask keeps others out."""

    def work() -> None:
        ran: list[str] = []

        def first(_: signals.Info) -> None:
            os.kill(os.getpid(), REALTIME)
            ran.append("first")

        signals.sigaction(USR1, first, signals.SignalSet([REALTIME]))
        signals.sigaction(REALTIME, lambda info: ran.append("second"))
        signals.sigprocmask(signal.SIG_BLOCK, signals.SignalSet([USR1]))
        os.kill(os.getpid(), USR1)
        assert ran == []
        signals.sigprocmask(signal.SIG_UNBLOCK, signals.SignalSet([USR1]))
        assert ran == ["first", "second"]

    assert fork(work).ended() == 0


def test_sigsuspend_takes_what_is_pending(fork: Fork) -> None:
    """A signal that was blocked wakes it, and is blocked again when it returns."""

    def work() -> None:
        came: list[signals.Info] = []
        signals.sigaction(USR1, came.append)
        signals.sigprocmask(signal.SIG_BLOCK, signals.SignalSet([USR1]))
        os.kill(os.getpid(), USR1)
        signals.sigsuspend(signals.SignalSet())
        assert [info.code for info in came] == [signals.SI_USER]
        assert USR1 in signal.pthread_sigmask(signal.SIG_BLOCK, [])

    assert fork(work).ended() == 0


def test_a_read_is_interrupted_once(fork: Fork) -> None:
    """read_once() reads what is there, and does not begin again after a signal."""

    def work() -> None:
        reading, writing = os.pipe()
        os.write(writing, b"all")
        assert signals.read_once(reading, 100) == b"all"
        signal.signal(signal.SIGALRM, lambda number, frame: None)
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
        with pytest.raises(InterruptedError):
            signals.read_once(reading, 1)
        signal.setitimer(signal.ITIMER_REAL, 0)

    assert fork(work).ended() == 0


def test_sets_have_what_was_put_in() -> None:
    """add() and delete() change a set, fill() fills it, and what is no signal is refused."""
    some = signals.SignalSet([1, 2])
    some.add(3)
    some.delete(2)
    assert list(some) == [1, 3]
    assert set(signals.SignalSet().fill()) >= set(range(1, 32))
    with pytest.raises(OSError, match="Invalid argument"):
        some.add(0)


def test_flags_are_set(fork: Fork) -> None:
    """flags() tells what sigaction() set, and what the C library's signal() does by itself."""

    def work() -> None:
        signals.sigaction(USR1, lambda info: None, None, signals.SA_NODEFER)
        assert signals.flags(USR1) & (signals.SA_NODEFER | signals.SA_RESTART) == signals.SA_NODEFER
        signals.c_signal(USR1, signals.do_nothing())
        os.kill(os.getpid(), USR1)
        assert not signals.flags(USR1) & signals.SA_NODEFER

    assert fork(work).ended() == 0


def test_kill_cannot_be_handled() -> None:
    """sigaction() of SIGKILL is refused."""
    with pytest.raises(OSError, match="Invalid argument"):
        signals.sigaction(signal.SIGKILL, 1)
