"""Who had which lock, and who waited for which, when nobody could go on? A deadlock's story."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from common.history import trace
from common.history.case import Case
from common.history.trace import Passed
from common.kernel import touch
from common.process.deadlocks import Waits, circle
from common.report.order import Placed, Step, arrange

# A circle is told whole; of processes that wait otherwise so many.
PROCESSES = 5


def standstill(case: Case) -> list[tuple[str, Placed]]:
    """Return the steps into a deadlock, each with its process, in order.

    Under a schedule it is known when each lock was taken, and since when its process could not go
    on. Otherwise who has a lock took it at some time before it began to wait.
    """
    waits = case.outcome.deadlock
    told = circle(waits) or waits[:PROCESSES]
    names = [wait["process"] for wait in told]
    passed = trace.read(case.outcome.trace)
    if passed and trace.complete(passed):
        steps, pairs = _exact(names, told, passed)
    else:
        steps, pairs = _bounded(case, names, told)
    return [(names[each.step.position], each) for each in arrange(steps, pairs, [])]


def wait_text(wait: dict[str, Any]) -> str:
    """Return what a process waits for, and who has it."""
    match wait["holder"]:
        case None:
            return f"waits for {wait['waits_for']}, which nobody will give"
        case holder if holder == wait["process"]:
            return f"waits for {wait['waits_for']}, which it has itself"
        case holder:
            return f"waits for {wait['waits_for']} (held by {holder})"


def _exact(
    names: list[str], told: Waits, passed: list[Passed]
) -> tuple[list[Step], list[tuple[Step, Step]]]:
    taken: dict[str, Passed] = {}
    arrived: dict[str, int] = {}
    for step in passed:
        arrived[step.process] = step.at
        taken.update(dict.fromkeys(touch.locks(step.takes), step))
        for lock in touch.locks(step.gives):
            taken.pop(lock, None)
    steps = [
        Step(names.index(step.process), "takes", f"takes {lock}", step.at)
        for lock, step in taken.items()
        if step.process in names
    ]
    waits = []
    for number, wait in enumerate(told):
        # It stood there since its own last step, and could pass until the lock was taken.
        since = [arrived.get(wait["process"], 0)]
        if wait["waits_for"] in taken:
            since.append(taken[wait["waits_for"]].at)
        waits.append(Step(number, "waits", wait_text(wait), max(since)))
    waits.sort(key=lambda step: step.at or 0)
    # Of equal times the taking is the cause, the waiting what followed from it.
    followed = [
        (take, wait)
        for take in steps
        for wait in waits
        if take.at is not None and wait.at is not None and take.at <= wait.at
    ]
    return [*steps, *waits], [*followed, *pairwise(waits)]


def _bounded(
    case: Case, names: list[str], told: Waits
) -> tuple[list[Step], list[tuple[Step, Step]]]:
    steps, pairs = [], []
    waits = []
    for number, wait in enumerate(told):
        since = wait.get("since")
        at = None if since is None else since - case.outcome.gate_ns
        waits.append(Step(number, "waits", wait_text(wait), at))
    for wait in told:
        holder, lock = wait["holder"], wait["waits_for"]
        if holder in names:
            has = Step(names.index(holder), "has", f"has {lock}")
            steps.append(has)
            pairs.append((has, waits[has.position]))
    return [*steps, *waits], pairs
