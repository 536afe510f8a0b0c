"""What does one forced step cost? Beside a byte through two pipes and back."""

from __future__ import annotations

from benchmarks import programs
from benchmarks.measuring import Bench, Goal, Row

SCENARIO = programs.ROOT / "configs/exchange/two_traders.yaml"


def row(bench: Bench) -> Row:
    """Walk schedules of two traders with one trade each; all on one core, as ``explore`` does."""
    schedules = bench.work(4_000, 100)
    explore = programs.launcher(
        "explore", SCENARIO, "--variant", "unlocked", "--strategy", "random",
        "--schedules", schedules, "--seconds", 600, "--out", bench.out, "--json",
    )  # fmt: skip
    pipe = programs.subject("pipe", bench.work(50_000, 1_000))

    def walked() -> dict[str, float]:
        document = programs.run(explore, cores=1)["variants"]["unlocked"]
        return {
            "a step": document["seconds"] / document["steps"] * 1e6,
            "schedules": document["schedules"] / document["seconds"],
        }

    return Row(
        units={"a step": "µs", "pipe round trip": "µs", "schedules": "a second"},
        sides=[
            walked,
            lambda: {"pipe round trip": programs.run(pipe, cores=1)["round_trip_us"]},
        ],
        goals=[Goal("a step", "pipe round trip", below=3.0)],
        note=f"{schedules:,} schedules of 10 steps, two processes; a step has its share of putting "
        "everything back, of reading the records and of judging what is new",
    )
