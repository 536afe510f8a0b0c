"""What does one forced step cost? Beside a byte through two pipes and back."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks import programs
from benchmarks.measuring import Bench, Goal, Row

SCENARIO = programs.ROOT / "configs/exchange/two_traders.yaml"


def row(bench: Bench) -> Row:
    """Walk schedules of two traders, short and long; all on one core, as ``explore`` does."""
    pipe = programs.subject("pipe", bench.work(50_000, 1_000))

    def walked(trades: int, schedules: int, name: str) -> Callable[[], dict[str, float]]:
        command = programs.launcher(
            "explore", SCENARIO, "--variant", "unlocked", "--strategy", "random",
            "--set", f"processes.trader.operations={trades}",
            "--schedules", schedules, "--seconds", 600, "--out", bench.out, "--json",
        )  # fmt: skip

        def side() -> dict[str, float]:
            document = programs.run(command, cores=1)["variants"]["unlocked"]
            seconds = document["seconds"] - document["judging_s"]
            return {
                f"a step, {name}": seconds / document["steps"] * 1e6,
                f"schedules, {name}": document["schedules"] / seconds,
            }

        return side

    return Row(
        units={
            "a step, 1 trade each": "µs",
            "a step, 20 trades each": "µs",
            "pipe round trip": "µs",
            "schedules, 1 trade each": "a second",
            "schedules, 20 trades each": "a second",
        },
        sides=[
            walked(1, bench.work(4_000, 100), "1 trade each"),
            lambda: {"pipe round trip": programs.run(pipe, cores=1)["round_trip_us"]},
            walked(20, bench.work(400, 10), "20 trades each"),
        ],
        goals=[
            Goal("a step, 20 trades each", "pipe round trip", below=3.0),
            Goal("a step, 1 trade each", "pipe round trip"),
        ],
        note="10 and 200 steps a schedule; a step has its share of putting everything back and of "
        "reading the records; judging what was not seen before is not counted",
    )
