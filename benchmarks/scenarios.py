"""Writes the scenarios that are measured, and reads what a run of one was like."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks import programs

LOCKED = "{kind: sysv_sem, undo: true}"
UNLOCKED = "none"

# A balance that never runs out: every trade does all its accesses, in C as here.
BALANCE = 1_000_000_000

# Trades that a trader draws before the gate opens, as the C program and the bare loops do theirs.
PREPARED = 60_000

# A run of a benchmark need not be valid: with one trader, or too short to meet, it is undecided.
GOOD = (0, 1, 3)


def traders(out: Path, count: int, operations: int, lock: str, name: str = "traders") -> Path:
    """Write a scenario of random traders, called ``name``; returns its path."""
    path = out / f"{name}.yaml"
    path.write_text(
        f"system: exchange\n"
        f"table: {{store: sysv_shm, lock: {lock}}}\n"
        f"processes:\n"
        f"  - {{role: trader, count: {count}, operations: {operations}, balance: {BALANCE}}}\n"
        f"deadlines: {{run: 600}}\n"
        f"expect: valid\n"
    )
    return path


def perform(scenario: Path, cores: int = 0) -> dict[str, Any]:
    """Run ``scenario`` by ``run.py run --json``; returns its document."""
    out = scenario.parent / "runs"
    command = programs.launcher("run", scenario, "--json", "--out", out)
    return programs.run(command, cores, GOOD)


def trades_per_second(scenario: Path, cores: int) -> float:
    """Run ``scenario`` and return its trades per second, from its history: gate to last end."""
    return float(perform(scenario, cores)["measures"]["per_second"])


def events(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the log of a run: its events in order, stamped in ns of CLOCK_MONOTONIC."""
    path = Path(document["run_dir"], "log.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]
