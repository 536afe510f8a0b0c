"""How fast is one trader, unlocked and recorded? Beside a bare loop of the same accesses."""

from __future__ import annotations

from benchmarks import programs, scenarios
from benchmarks.measuring import Bench, Goal, Row


def row(bench: Bench) -> Row:
    """One core for all: ``run.py run``, a bare Python loop that records nothing, and C."""
    operations = bench.work(200_000, 2_000)
    scenario = scenarios.traders(bench.out, 1, operations, scenarios.UNLOCKED)
    loop = programs.subject("bare_loop", 1, operations, "none", "unrecorded", "all")
    return Row(
        units={"the lab": "trades/s", "bare Python loop": "trades/s"},
        sides=[
            lambda: {"the lab": scenarios.trades_per_second(scenario, cores=1)},
            lambda: {"bare Python loop": programs.run(loop, cores=1)["per_second"]},
        ],
        goals=[Goal("the lab", "bare Python loop", at_least=0.3)],
        note=f"{operations:,} trades, one process on one core, no lock",
    )
