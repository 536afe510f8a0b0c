"""Supervises one plan of misbehaving roles in a process of its own, and prints the outcome.

``python -m tests.process.supervised RUN_DIR SPEC``: SPEC is JSON with ``roles`` (a list), and
optionally ``spawn``, ``run``, ``wait`` and ``start`` (seconds), ``table`` (true) and ``lock`` (its
kind).
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from common.process.supervise import Supervisor
from common.scenario.plan import (
    Deadlines,
    Expect,
    GroupPlan,
    Part,
    Plan,
    ProcessPlan,
    TablePlan,
)
from common.system import System

SYSTEM = System("misbehaving", "Roles of tests.", "tests.process.roles", ())


def plan_of(spec: dict[str, Any]) -> Plan:
    """Return a plan with one process for each role of ``spec``."""
    lock = Part(spec.get("lock", "sysv_sem"), {})
    table = TablePlan(Part("sysv_shm", {"key": None}), lock, ["ROW"], [[1.0, 1.0, 1.0]])
    processes = [
        ProcessPlan(
            f"{role}-{at}", f"{role}-{at}", role, "misbehaving", at, at, {}, {},
            spec.get("spawn", "fork"),
        )
        for at, role in enumerate(spec["roles"])
    ]  # fmt: skip
    return Plan(
        scenario="misbehaving",
        source="",
        variant="default",
        seed=1,
        systems=["misbehaving"],
        table=table if spec.get("table") else None,
        channels=[],
        paper=None,
        groups=[GroupPlan(p.name, p.role, p.system, [p.name], [], []) for p in processes],
        processes=processes,
        deadlines=Deadlines(spec.get("start", 30), spec.get("run", 30), 5, spec.get("wait", 20)),
        expect=Expect(),
    )


def main() -> None:
    """Supervise and print outcome and events as one JSON document."""
    run_dir = Path(sys.argv[1])
    run_dir.mkdir()
    events: list[dict[str, Any]] = []
    supervisor = Supervisor(
        plan_of(json.loads(sys.argv[2])),
        {"misbehaving": SYSTEM},
        run_dir,
        run_dir.parent,
        lambda event, **facts: events.append({"event": event, **facts}),
    )
    outcome = supervisor.perform()
    print(json.dumps({"outcome": asdict(outcome), "events": events}))


if __name__ == "__main__":
    main()
