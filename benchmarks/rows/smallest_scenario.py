"""How long does the smallest scenario take? As a whole, in starts of a bare interpreter."""

from __future__ import annotations

import sys

from benchmarks import programs
from benchmarks.measuring import Bench, Goal, Row

SCENARIO = programs.ROOT / "configs" / "exchange" / "script.yaml"
TURNS = 5


def row(bench: Bench) -> Row:
    """Whole processes from their start to their end: ``run.py run`` and ``python -c pass``."""
    command = programs.launcher("run", SCENARIO, "--json", "--out", bench.out)
    bare = [sys.executable, "-c", "pass"]

    def interpreter() -> dict[str, float]:
        # Several, as one is so short that a single interruption doubles it.
        return {"python -c pass": min(programs.timed(bare)[1] for _ in range(TURNS)) * 1e3}

    return Row(
        units={"run.py run": "ms", "python -c pass": "ms"},
        sides=[lambda: {"run.py run": programs.timed(command)[1] * 1e3}, interpreter],
        goals=[Goal("run.py run", "python -c pass", below=25)],
        rounds=11,
        note=f"{SCENARIO.relative_to(programs.ROOT)} --json; of the bare interpreter the fastest "
        f"of {TURNS} starts a round",
    )
