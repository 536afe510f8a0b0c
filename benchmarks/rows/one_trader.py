"""How fast is one trader, locked with undo and recorded? Beside C that records nothing."""

from __future__ import annotations

from benchmarks import programs, scenarios
from benchmarks.measuring import Bench, Goal, Row


def row(bench: Bench) -> Row:
    """One core for all: ``run.py run``, a bare Python loop of the same calls, and C."""
    operations = bench.work(scenarios.PREPARED, 2_000)
    scenario = scenarios.traders(bench.out, 1, operations, scenarios.LOCKED)
    loop = programs.subject("bare_loop", 1, operations, "sysv_sem", "unrecorded", "all")
    trader = [programs.reference("trader"), "1", str(operations), "undo"]
    return Row(
        units={"the lab": "trades/s", "bare Python loop": "trades/s", "C": "trades/s"},
        sides=[
            lambda: {"the lab": scenarios.trades_per_second(scenario, cores=1)},
            lambda: {"C": programs.run(trader, cores=1)["per_second"]},
            lambda: {"bare Python loop": programs.run(loop, cores=1)["per_second"]},
        ],
        goals=[Goal("the lab", "C", at_least=0.35), Goal("bare Python loop", "C")],
        rounds=15,
        note=f"{operations:,} trades, one process on one core, System V semaphore with SEM_UNDO",
    )
