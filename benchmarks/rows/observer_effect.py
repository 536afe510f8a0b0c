"""What does recording change? The speed of a bare loop, and the share of updates lost."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks import programs
from benchmarks.measuring import Bench, Goal, Row

CORES = 2


def row(bench: Bench) -> Row:
    """The same loop with and without records: one process on one core, then two on two."""
    operations = bench.work(200_000, 2_000)

    def alone(recording: str) -> Callable[[], dict[str, float]]:
        loop = programs.subject("bare_loop", 1, operations, "none", recording, "all")
        return lambda: {f"loop, {recording}": programs.run(loop, cores=1)["per_second"]}

    def two(recording: str) -> Callable[[], dict[str, float]]:
        loop = programs.subject("bare_loop", 2, operations, "none", recording, "buy")
        return lambda: {
            f"lost by two, {recording}": 100 * programs.run(loop, CORES)["lost_share"],
        }

    return Row(
        units={
            "loop, unrecorded": "trades/s",
            "loop, recorded": "trades/s",
            "lost by two, unrecorded": "% of the units bought",
            "lost by two, recorded": "% of the units bought",
        },
        sides=[alone("unrecorded"), alone("recorded"), two("unrecorded"), two("recorded")],
        goals=[Goal("loop, recorded", "loop, unrecorded")],
        note="lost: expected - final stock, when every trade of two processes buys one unit; it "
        "cannot be counted by records, as half of the loops have none",
    )
