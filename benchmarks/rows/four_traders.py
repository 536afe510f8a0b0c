"""How fast are four traders on two cores, locked and recorded? Beside C that records nothing."""

from __future__ import annotations

from benchmarks import programs, scenarios
from benchmarks.measuring import Bench, Goal, Row

TRADERS = 4
CORES = 2


def row(bench: Bench) -> Row:
    """Two cores for both: the kernel hands the semaphore over, which is the limit of both."""
    operations = bench.work(50_000, 500)
    scenario = scenarios.traders(bench.out, TRADERS, operations, scenarios.LOCKED)
    trader = [programs.reference("trader"), str(TRADERS), str(operations), "undo"]
    return Row(
        units={"the lab": "trades/s", "C": "trades/s"},
        sides=[
            lambda: {"the lab": scenarios.trades_per_second(scenario, CORES)},
            lambda: {"C": programs.run(trader, CORES)["per_second"]},
        ],
        goals=[Goal("the lab", "C", at_least=0.9)],
        rounds=11,
        note=f"{TRADERS} processes of {operations:,} trades, System V semaphore with SEM_UNDO",
    )
