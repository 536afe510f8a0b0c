"""The experiments on signals, their handlers, and the jobs of a terminal."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import run
from common.claims import claim
from common.claims.claim import DEPENDS, FAILS, HOLDS, UNDECIDED, Experiment
from common.claims.conduct import conduct
from common.claims.mechanisms import (
    job_control,
    pending_signals,
    signal_handling,
    signal_safety,
    signals,
)
from common.kernel.libc import signals as libc
from tests.claims.conducting import conducted
from tests.conftest import PATIENCE

MECHANISMS = (
    "signals", "pending_signals", "signal_handling", "signal_safety", "job_control",
)  # fmt: skip
EXPERIMENTS = {each.name: each for name in MECHANISMS for each in claim.experiments(name)}
# What is not here holds.
OTHERWISE = {
    "B43": FAILS, "B44": FAILS, "B51": DEPENDS, "B53": DEPENDS, "B55": DEPENDS, "B66": DEPENDS,
    "B67": DEPENDS,
}  # fmt: skip


@contextlib.contextmanager
def _nobody_left() -> Iterator[None]:
    """Fail when a process that was forked meanwhile lives on, in whatever session."""
    reading, writing = os.pipe()
    yield
    # Each of them has inherited the write end.
    os.close(writing)
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    assert poll.poll(PATIENCE * 1000)
    assert os.read(reading, 1) == b""
    os.close(reading)


@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=lambda each: each.name)
def test_it_is_decided_as_linux_does_it(experiment: Experiment, tmp_path: Path) -> None:
    """Each sentence has the verdict that Linux gives it, and nothing is left, in no session."""
    with _nobody_left():
        shown = conducted(experiment, tmp_path / "seen").shown
    assert UNDECIDED not in {each.verdict for each in shown.values()}, shown
    assert {name: each.verdict for name, each in shown.items()} == {
        each.name: OTHERWISE.get(each.name, HOLDS) for each in experiment.claims
    }


def test_they_cover_their_part_of_the_lecture() -> None:
    """B43 to B78, and B166, each in exactly one experiment."""
    named = [each.name for one in EXPERIMENTS.values() for each in one.claims]
    assert sorted(named) == sorted([*(f"B{number}" for number in range(43, 79)), "B166"])


@pytest.mark.parametrize("name", ["group_killed", "relatives"])
def test_an_experiment_that_fails_leaves_no_orphan(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where an escaped grandchild is not killed, it ends with its experiment."""
    monkeypatch.delattr(job_control, "_finish")
    with _nobody_left():
        shown = conduct(EXPERIMENTS[name], run.SYSTEMS).shown
    assert {each.verdict for each in shown.values()} == {UNDECIDED}


def test_the_table_is_compared_with_what_each_signal_did(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table with one wrong number and one wrong action does not hold, and says where."""
    monkeypatch.setitem(signals.TABLE, 10, ("SIGCHLD", "terminate"))
    monkeypatch.setitem(signals.TABLE, 17, ("SIGCHLD", "stop"))
    shown = conduct(EXPERIMENTS["defaults"], run.SYSTEMS).shown["B46"]
    assert (shown.verdict, shown.figure) == (FAILS, "13 of 15 as in the table")
    assert shown.why == "10 SIGUSR1: terminate; 17 SIGCHLD: ignore"


def test_a_wait_that_misses_nothing_refutes_the_race(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a pause() that returns at once the example would be reliable."""
    monkeypatch.setattr(signal, "pause", lambda: None)
    assert conduct(EXPERIMENTS["missed"], run.SYSTEMS).shown["B70"].verdict == FAILS


def test_a_wait_that_is_not_one_step_misses_the_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unblock, then pause(): what sigsuspend() does in two steps sleeps on."""

    def two_steps(mask: libc.SignalSet) -> None:
        libc.sigprocmask(signal.SIG_SETMASK, mask)
        signal.pause()

    monkeypatch.setattr(libc, "sigsuspend", two_steps)
    monkeypatch.setattr(signal_safety, "PATIENCE", 0.3)
    assert conduct(EXPERIMENTS["missed"], run.SYSTEMS).shown["B78"].verdict == FAILS


def test_signals_are_queued_by_kind() -> None:
    """One of many for both kinds would hold, for one kind depends, for none fails."""
    assert pending_signals.queueing_verdict(1, 1) == HOLDS
    assert pending_signals.queueing_verdict(1, 100) == DEPENDS
    assert pending_signals.queueing_verdict(100, 100) == FAILS


def test_the_lowest_signal_is_first_only_with_a_mask() -> None:
    """Rising both times holds, rising once depends, rising never fails."""
    rising = sorted(signal_handling.SIX)
    falling = rising[::-1]
    assert signal_handling.order_verdict(rising, rising) == HOLDS
    assert signal_handling.order_verdict(falling, rising) == DEPENDS
    assert signal_handling.order_verdict(falling, falling) == FAILS


def test_default_actions_are_three_or_more() -> None:
    """The slide's three hold if no other is seen, and fail if one of them is not."""
    three = {"terminate", "stop", "ignore"}
    assert signals.actions_verdict(three) == HOLDS
    assert signals.actions_verdict(three | {"continue"}) == DEPENDS
    assert signals.actions_verdict({"terminate", "ignore", "continue"}) == FAILS
