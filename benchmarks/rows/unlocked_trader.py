"""How fast is one trader, unlocked and recorded? Beside a bare loop of the same accesses."""

from __future__ import annotations

from benchmarks import programs, scenarios
from benchmarks.measuring import Bench, Goal, Row


def row(bench: Bench) -> Row:
    """One core for all: ``run.py run``, and a bare Python loop that records nothing."""
    operations = bench.work(scenarios.PREPARED, 2_000)
    scenario = scenarios.traders(bench.out, 1, operations, scenarios.UNLOCKED)
    longer = scenarios.traders(bench.out, 1, 4 * operations, scenarios.UNLOCKED, "longer")
    loop = programs.subject("bare_loop", 1, operations, "none", "unrecorded", "all")
    return Row(
        units={
            "the lab": "trades/s",
            "bare Python loop": "trades/s",
            "the lab, four times as many": "trades/s",
        },
        sides=[
            lambda: {"the lab": scenarios.trades_per_second(scenario, cores=1)},
            lambda: {"bare Python loop": programs.run(loop, cores=1)["per_second"]},
            lambda: {"the lab, four times as many": scenarios.trades_per_second(longer, cores=1)},
        ],
        goals=[Goal("the lab", "bare Python loop", at_least=0.3)],
        rounds=15,
        note=f"{operations:,} trades, one process on one core, no lock; the orders are drawn "
        "before the gate opens, those of a longer run also while it runs",
    )
