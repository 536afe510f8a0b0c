"""An experiment runs in a process of its own: whatever it does, the lab comes to a result."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import run
from common.claims import conduct
from common.claims.claim import HOLDS, UNDECIDED, Claim, Experiment, Seen, Shown
from common.claims.lab import Lab
from common.kernel import existing
from tests.conftest import PATIENCE

CLAIMS = (Claim("A1", 1, "One."), Claim("A2", 2, "Two."))


def tried(work: Callable[[Lab], Seen]) -> conduct.Result:
    """Run ``work`` as the experiment of two claims."""
    return conduct.conduct(Experiment("trying", "work", CLAIMS, work), {})


def test_one_result_is_that_of_every_claim() -> None:
    """And the notes are those that were taken."""

    def work(lab: Lab) -> Shown:
        lab.note("first")
        lab.note("then")
        return Shown(HOLDS, "3", "because")

    found = tried(work)
    assert found.shown == {"A1": (HOLDS, "3", "because"), "A2": (HOLDS, "3", "because")}
    assert found.notes == ["first", "then"]


def test_a_claim_that_nothing_is_said_of_is_undecided() -> None:
    """An experiment that forgets one does not pass for it."""
    found = tried(lambda lab: {"A1": Shown(HOLDS, "", "")})
    assert found.shown["A1"].verdict == HOLDS
    assert found.shown["A2"].verdict == UNDECIDED


def test_a_verdict_that_is_none_is_undecided() -> None:
    """Only the words of verdicts are."""
    assert tried(lambda lab: Shown("surely", "", "")).shown["A1"].verdict == UNDECIDED


@pytest.mark.parametrize("end", ["raises", "is killed", "hangs", "exits"])
def test_an_experiment_that_fails_is_undecided_and_says_how(
    end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an exception, a signal, its deadline, or an exit in the middle."""
    monkeypatch.setattr(conduct, "DEADLINE", 0.5)

    def work(lab: Lab) -> Shown:
        if end == "raises":
            raise ValueError("no such thing")
        if end == "is killed":
            os.kill(os.getpid(), signal.SIGTERM)
        if end == "hangs":
            time.sleep(1000)
        os._exit(0)

    [one, other] = tried(work).shown.values()
    assert one.verdict == other.verdict == UNDECIDED
    said = {
        "raises": "ValueError: no such thing",
        "is killed": "ended by signal 15",
        "hangs": "ended by signal 9",
        "exits": "it said nothing",
    }
    assert said[end] in one.why


def test_what_it_leaves_is_removed_though_it_was_killed(runtime_directory: Path) -> None:
    """Objects by its ledger, files with its directory, processes with its session."""
    told = runtime_directory / "told"

    def work(lab: Lab) -> Shown:
        key = lab.maker.sysv_sem(1)
        child = lab.fork(lambda tell: time.sleep(1000))
        (lab.directory / "file").write_text("left")
        told.write_text(f"{key} {child.pid} {lab.directory}")
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    assert tried(work).shown["A1"].verdict == UNDECIDED
    key, pid, directory = told.read_text().split()
    told.unlink()
    assert existing.find("sysv_sem", int(key)) is None
    assert not Path(directory).exists()
    with contextlib.suppress(ProcessLookupError):
        # Killed, and perhaps not yet gone: the kernel tells when it is.
        gone = select.poll()
        gone.register(fd := os.pidfd_open(int(pid)), select.POLLIN)
        assert gone.poll(PATIENCE * 1000)
        os.close(fd)


def test_its_own_process_is_not_touched() -> None:
    """Signals, umask and directory are the experiment's own."""
    before = os.umask(0o022)
    os.umask(before)

    def work(lab: Lab) -> Shown:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        os.umask(0o777)
        os.chdir("/")
        return Shown(HOLDS, "", "")

    handler, here = signal.getsignal(signal.SIGUSR1), Path.cwd()
    tried(work)
    assert signal.getsignal(signal.SIGUSR1) == handler
    assert Path.cwd() == here
    assert os.umask(before) == before


def test_a_run_that_it_was_making_is_removed_too(
    runtime_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shipped scenario has a launcher of its own, and that is killed with the experiment."""
    monkeypatch.setattr(conduct, "DEADLINE", 1.5)

    def work(lab: Lab) -> Shown:
        lab.run("exchange/lost_update", "locked", processes__trader__operations=10_000_000)
        raise AssertionError

    found = conduct.conduct(Experiment("trying", "work", CLAIMS, work), run.SYSTEMS)
    assert found.shown["A1"].verdict == UNDECIDED
    assert list(runtime_directory.iterdir()) == []
