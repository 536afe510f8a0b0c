"""A signal to the launcher while a process that it leads is stopped: everybody leaves in order."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from common.errors import ProcessLost
from common.process.stage import Stage
from common.process.supervise import Supervisor
from common.scenario.load import load
from common.scenario.plan import plan
from run import SYSTEMS
from tests.conftest import Fork
from tests.launching import ROOT

BUYS = ROOT / "configs/exchange/two_traders.yaml"


def interrupt(stage: Stage) -> None:
    """Stop the first process, wait until it is, and interrupt the launcher."""
    pid = stage.players[0].member.outcome.pid
    os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOWAIT)
    os.kill(os.getpid(), signal.SIGTERM)


def before_a_step(stage: Stage) -> None:
    """It has said where it stands, and reads the next word."""
    stage.go(0)
    interrupt(stage)


def on_its_way(stage: Stage) -> None:
    """It was let go, and has not come to its next step."""
    interrupt(stage)
    with contextlib.suppress(ProcessLost):
        stage.go(0)


def between_two_schedules(stage: Stage) -> None:
    """It has done its work, and waits whether to do it once more."""
    while stage.players[0].stand is not None:
        stage.go(0)
    interrupt(stage)


@pytest.mark.parametrize("lead", [before_a_step, on_its_way, between_two_schedules])
def test_who_was_stopped_leaves_as_the_others_do(
    lead: Callable[[Stage], None], fork: Fork, tmp_path: Path
) -> None:
    """Wherever it stands, both words reach it before it goes on: nobody must be killed."""
    run_dir, told = tmp_path / "run", tmp_path / "told"
    run_dir.mkdir()

    def launch() -> None:
        planned = plan(load(BUYS, SYSTEMS, ["deadlines.finish=60"]), "locked", 1, SYSTEMS)
        nobody = lambda _event, **_facts: None  # noqa: E731
        outcome = Supervisor(planned, SYSTEMS, run_dir, tmp_path, nobody, direct=lead).perform()
        told.write_text(json.dumps(asdict(outcome)))

    assert fork(launch).ended() == 0
    outcome = json.loads(told.read_text())
    assert (outcome["interrupted"], outcome["leaks"]) == (signal.SIGTERM, [])
    assert [(each["exit"], each["hung"]) for each in outcome["processes"]] == [(0, None)] * 2
