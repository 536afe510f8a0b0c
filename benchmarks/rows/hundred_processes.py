"""How long until 100 processes are at the open gate? Beside bare forks and a forkserver."""

from __future__ import annotations

from benchmarks import programs, scenarios
from benchmarks.measuring import Bench, Goal, Row


def row(bench: Bench) -> Row:
    """``run.py run`` with traders of one trade; from the log of its own events."""
    count = bench.work(100, 10)
    scenario = scenarios.traders(bench.out, count, 1, scenarios.LOCKED)
    forks = programs.subject("bare_fork", count)
    server = programs.subject("forkserver", count)

    def lab() -> dict[str, float]:
        log = scenarios.events(scenarios.perform(scenario))
        (begun,) = (event["at_ns"] for event in log if event["event"] == "spawning")
        (opened,) = (event["gate_ns"] for event in log if event["event"] == "gate_open")
        return {"the lab": (opened - begun) / 1e6}

    def forkserver() -> dict[str, float]:
        found = programs.run(server)
        return {
            "forkserver": found["seconds"] * 1e3,
            "forkserver, with its start": found["from_nothing"] * 1e3,
        }

    return Row(
        units=dict.fromkeys(
            ["the lab", "bare fork", "forkserver", "forkserver, with its start"], "ms"
        ),
        sides=[lab, lambda: {"bare fork": programs.run(forks)["seconds"] * 1e3}, forkserver],
        goals=[
            Goal("the lab", "bare fork", at_most=3),
            Goal("forkserver", "the lab", at_least=4),
        ],
        note=f"{count} processes on all cores, from the first fork of a warm launcher or server to "
        "the opening of the gate",
    )
