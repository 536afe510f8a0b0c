"""A run whose launcher is killed, and the next one in the same place.

The first is a process of its own, which kills itself (SIGKILL) when the last fault of its plan has
struck: what it has stopped, say, stays so until it is killed with the launcher.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common import pipeline
from common.errors import MachineError
from common.kernel import libc
from common.scenario.plan import Plan
from common.system import System


def perform(plan: Plan, systems: Mapping[str, System], out: Path) -> dict[str, Any]:
    """Run ``plan`` twice, the first time to its last fault; returns the document of the second.

    Raises ``MachineError`` where the first launcher came to its end.
    """
    parent = os.getpid()
    pid = os.fork()
    if not pid:
        _run_and_die(plan, systems, out, parent)
    _, status = os.waitpid(pid, 0)
    if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
        raise MachineError(
            "the launcher that was to be killed came to its end",
            "its fault never struck: run it by itself",
        )
    return pipeline.perform(plan, systems, out)


def _run_and_die(plan: Plan, systems: Mapping[str, System], out: Path, parent: int) -> None:
    last = plan.faults[-1]

    def listen(event: str, **facts: Any) -> None:
        if event == "fault" and (facts["kind"], facts["step"]) == (last.kind, last.trigger.step):
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        libc.prctl_die_with_parent(signal.SIGTERM, parent)
        pipeline.perform(plan, systems, out, progress=listen)
    finally:
        os._exit(1)
