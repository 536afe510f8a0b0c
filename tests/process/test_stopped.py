"""The launcher is told to end while one of its processes is stopped: that one finishes, too."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.process.members import Members
from common.process.supervise import Supervisor
from common.scenario.load import load
from common.scenario.plan import plan
from run import SYSTEMS
from tests.conftest import Fork

PRINTING = {
    "system": "spooler",
    "channels": {"jobs": "sysv_queue"},
    "processes": [
        {"role": "producer", "jobs": 0, "to": "jobs"},
        {"role": "printer", "source": "jobs"},
    ],
    "deadlines": {"run": 0, "finish": 60},
}


class Stopping:
    """Looks at a run: stops one process, waits until it is, and does something more."""

    def __init__(self, name: str, then: Callable[[int], None]) -> None:
        self.name = name
        self.then = then
        self.due = False

    def begin(self, *_facts: Any) -> None:
        """The gate is open."""
        self.due = True

    def pause(self, most: float | None) -> float | None:
        """Look at once, and then no more."""
        return 0.0 if self.due else most

    def look(self, members: Members) -> None:
        """Do it."""
        if self.due:
            self.due = False
            pid = next(m.outcome.pid for m in members if m.outcome.name == self.name)
            os.kill(pid, signal.SIGSTOP)
            os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOWAIT)
            self.then(pid)

    def end(self) -> None:
        """Nothing more is seen."""


def perform(
    fork: Fork, tmp_path: Path, onlooker: Stopping, content: dict[str, Any]
) -> dict[str, Any]:
    """Run a scenario in a launcher of its own, looked at by ``onlooker``; returns its outcome."""
    path, told = tmp_path / "scenario.yaml", tmp_path / "told"
    path.write_text(yaml.safe_dump(content))
    (tmp_path / "run").mkdir()

    def launch() -> None:
        planned = plan(load(path, SYSTEMS), None, 1, SYSTEMS)
        nobody = lambda _event, **_facts: None  # noqa: E731
        supervisor = Supervisor(
            planned, SYSTEMS, tmp_path / "run", tmp_path, nobody, onlooker=onlooker
        )
        told.write_text(json.dumps(asdict(supervisor.perform())))

    assert fork(launch).ended() == 0
    outcome: dict[str, Any] = json.loads(told.read_text())
    assert outcome["leaks"] == []
    return outcome


@pytest.mark.parametrize("name", ["producer-0", "printer-0"])
def test_an_interruption_wakes_who_is_stopped(name: str, fork: Fork, tmp_path: Path) -> None:
    """SIGTERM means nothing to a stopped process before SIGCONT: both are sent, and it finishes."""
    stopping = Stopping(name, lambda _pid: os.kill(os.getpid(), signal.SIGTERM))
    outcome = perform(fork, tmp_path, stopping, PRINTING)
    assert outcome["interrupted"] == signal.SIGTERM
    ends = [(each["exit"], each["phase"], each["hung"]) for each in outcome["processes"]]
    assert ends == [(0, "done", None)] * 2
