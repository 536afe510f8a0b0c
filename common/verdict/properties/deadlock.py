"""Somebody can always go on: no circle of processes, each waiting for what the next one has."""

from __future__ import annotations

from typing import Any

from common.history.case import Case
from common.process.deadlocks import circle
from common.verdict.evidence import Result, finding
from common.verdict.finding import Instance


def check(case: Case) -> Result:
    """Return the deadlock that the launcher saw: who waits for what, and who has it."""
    waits = case.outcome.deadlock
    if not waits:
        return Result()
    told = circle(waits) or waits
    links = ", ".join(_wait(each) for each in told)
    closing = f", and so back to {told[0]['process']}" if circle(waits) else ""
    sentence = f"Nobody can go on: {links}{closing}."
    others = len(waits) - len(told)
    if others:
        sentence += f" {others} more {'waits' if others == 1 else 'wait'} for them."
    case_of_it = Instance(float(len(told)), sentence)
    return Result([finding("deadlock", 1, 1.0, (case_of_it, case_of_it, case_of_it))])


def _wait(wait: dict[str, Any]) -> str:
    holder = wait["holder"]
    if holder is None:
        return f"{wait['process']} waits for {wait['waits_for']}, which nobody will give"
    if holder == wait["process"]:
        return f"{wait['process']} waits for {wait['waits_for']}, which it has itself"
    return f"{wait['process']} waits for {wait['waits_for']}, which {holder} has"
