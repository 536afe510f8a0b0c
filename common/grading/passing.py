"""Whether a program has passed the steps of its role for each operation that it claims.

A program tells the lab what it does: a record of each operation, and each step as it comes to it.
Both must fit: who does all accesses in one step cannot be interrupted between them, and who says
that it holds a lock must have taken one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from common import kinds
from common.history import record
from common.history.case import Case
from common.history.operations import Effect
from common.history.trace import Passed
from common.scenario.plan import ProcessPlan
from common.system import System
from common.verdict.wording import many

# The accesses of an update.
READ, WRITE = "read", "write"


def unpassed(case: Case, systems: Mapping[str, System], passed: Iterable[Passed]) -> str:
    """Return what the first program claims beyond the steps ``passed``; "" when none does.

    Programs are asked whose role declares with which step an operation begins (``BEGINS``), and
    that it reads and writes.
    """
    by_process: dict[str, list[Passed]] = {}
    for each in passed:
        by_process.setdefault(each.process, []).append(each)
    for process in case.plan.processes:
        module = kinds.load(systems[process.system].roles, process.role)
        steps: tuple[str, ...] = getattr(module, "STEPS", ())
        begins = getattr(module, "BEGINS", "")
        if process.program is None or process.plain or not begins or not {READ, WRITE} <= {*steps}:
            continue
        operations = _operations(by_process.get(process.name, []), begins)
        told = beyond(_updates(case, process), operations)
        if told:
            return f"{process.name} {told}"
    return ""


def _operations(passed: Iterable[Passed], begins: str) -> list[list[Passed]]:
    found: list[list[Passed]] = []
    for each in passed:
        if each.step == begins:
            found.append([])
        if found:
            found[-1].append(each)
    return found


def _updates(case: Case, process: ProcessPlan) -> list[int]:
    """Return the kinds of the updates that a process recorded (docs/history.md)."""
    codes = [
        code
        for code, operation in case.history.operations.items()
        if operation.effect is Effect.UPDATE and not operation.recovery
    ]
    found: list[int] = []
    for each in case.history.processes:
        if each.index == process.index:
            all_of = each.records["kind"].astype(np.int64)
            found += all_of[np.isin(all_of % record.OBJECT, codes)].tolist()
    return found


def beyond(updates: list[int], operations: list[list[Passed]]) -> str:
    """Return which of ``updates`` did not pass the steps of its operation, in words."""
    if len(updates) > len(operations):
        began = many(len(operations), "operation")
        return f"records {many(len(updates), 'operation')}, and passed the steps of {began}"
    for at, (kind, operation) in enumerate(zip(updates, operations, strict=False)):
        if kind & record.REFUSED:
            continue
        steps = [each.step for each in operation]
        shown = f"operation {at + 1}: it passed {', '.join(steps)}"
        if READ not in steps or WRITE not in steps[steps.index(READ) :]:
            return f"changed a stock without the steps {READ} and {WRITE} in {shown}"
        if not kind & (record.OBJECT - 1) * record.HELD_FIRST:
            continue
        first = steps.index(READ)
        last = first + steps[first:].index(WRITE)
        before = [bool(each.takes) - bool(each.gives) for each in operation[:first]]
        if sum(before) < 1:
            return f"says that it held a lock, and took none before it read, in {shown}"
        if any(each.gives for each in operation[first:last]):
            return f"says that it held a lock, and gave it back before it wrote, in {shown}"
    return ""
