"""What a scenario may write where things shall go wrong: triggers, and restart policies."""

from __future__ import annotations

from common.scenario.numbers import Integer, Number
from common.scenario.shapes import Field, Record
from common.scenario.values import Text

DAY = 86_400.0

RESTART = Record(
    {
        "limit": Field(Integer(0, 10_000), "How often one process is started anew.", default=5),
        "back_off": Field(
            Number(0, 60), "Seconds before the first time; doubled each time.", default=0.01
        ),
        "longest": Field(Number(0, 3600), "No more seconds than these.", default=1.0),
    },
    "a restart policy",
    shorthand="limit",
)


def trigger_fields(name: Text, step: Text) -> dict[str, Field]:
    """Return the fields that every fault has beside its kind's own."""
    return {
        "process": Field(name, "The process, or the group, that it strikes or that it waits for."),
        "step": Field(step, "The step at which; any when absent, but `wait` (about to block)."),
        "at": Field(Integer(1, 10**9), "The how manieth time, in the first life of a process."),
        "every": Field(Integer(1, 10**9), "Each so manieth time."),
        "probability": Field(Number(0, 1), "Each time with this probability, from the seed."),
        "after": Field(Number(0, DAY), "Seconds after the gate was opened, instead of a step."),
        "period": Field(Number(0.0001, DAY), "And again after so many seconds, each time."),
        "most": Field(Integer(1, 10**9), "How often at most in a run; no bound when absent."),
        "since": Field(Text(), "Not before a `sign` has given this sign."),
    }
