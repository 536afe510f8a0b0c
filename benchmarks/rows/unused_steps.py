"""What do steps cost that nobody uses? A locked trade as it is, and with its steps cut out."""

from __future__ import annotations

from benchmarks import programs
from benchmarks.measuring import Bench, Goal, Row


def row(bench: Bench) -> Row:
    """The desk's own loop, compiled twice, in turns; one process on one core."""
    operations = bench.work(200_000, 4_000)
    command = programs.subject("steps", operations)
    return Row(
        units={"with steps": "trades/s", "without": "trades/s"},
        sides=[lambda: programs.run(command, cores=1)],
        goals=[Goal("with steps", "without", at_least=0.95)],
        note=f"{operations:,} trades, System V semaphore with SEM_UNDO, recorded",
    )
