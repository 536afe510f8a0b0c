"""Did a program do what its role asks for? Who does less, or something else, can do no harm.

Whether what it refused had to be refused is asked of every run (:mod:`common.verdict.refusals`).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from common import kinds
from common.history.case import Case
from common.history.operations import Effect
from common.scenario.plan import ProcessPlan
from common.scenario.schedule import LEAVE, STOP
from common.system import Asked, System
from common.verdict.wording import many, number


def shortfall(case: Case, systems: Mapping[str, System]) -> str:
    """Return what the first program did otherwise than it was asked to; "" when none did.

    Asked are recorded programs whose role says what it is to do (``asked``), and which came to
    their end.
    """
    plan = case.plan
    ended = {process.index for process in case.outcome.processes if process.phase == "done"}
    stopped = {who for who, step in (plan.schedule.moves if plan.schedule else ())
               if step in (STOP, LEAVE)}  # fmt: skip
    for process in plan.processes:
        asked = _asked(process, systems)
        if asked is None or process.index not in ended:
            continue
        told = _otherwise(case, process.index, asked, stopped=process.name in stopped)
        if told:
            return f"{process.name} {told}"
    return ""


def _asked(process: ProcessPlan, systems: Mapping[str, System]) -> Asked | None:
    if process.program is None or process.plain:
        return None
    module = kinds.load(systems[process.system].roles, process.role)
    if not hasattr(module, "asked"):
        return None
    asked: Asked = module.asked(module.Options(**process.options))
    return asked


def _otherwise(case: Case, index: int, asked: Asked, *, stopped: bool) -> str:
    history = case.history
    places = [which for which, each in enumerate(history.processes) if each.index == index]
    signs = np.zeros(256)
    for code, operation in history.operations.items():
        if operation.effect is Effect.UPDATE and not operation.recovery:
            signs[code] = operation.sign
    tried = 0
    for which, begin, end in history.slices():
        if which not in places:
            continue
        at = np.arange(begin, end) + history.bounds[which]
        at = at[signs[history.codes[at]] != 0]
        tried += len(at)
        amount = history.gather("v0", at)
        rows, sign = history.objects[at], signs[history.codes[at]]
        elsewhere = ~np.isin(rows, asked.rows)
        # Also true of what is no number.
        odd = ~((amount >= asked.smallest) & (amount < asked.largest))
        other = (sign > 0) & (not asked.adds) | (sign < 0) & (not asked.takes)
        strange = np.flatnonzero(elsewhere | odd | other)
        if len(strange):
            one = int(at[strange[0]])
            what = f"{history.operation(one).name} {number(float(amount[strange[0]]))}"
            return f"was not asked to {what} {case.place(one)} ({_told(case, asked)})"
    if (
        asked.operations
        and tried != asked.operations
        and not (stopped and tried < asked.operations)
    ):
        return f"tried {many(tried, 'operation')}, and was asked for {asked.operations:,}"
    return ""


def _told(case: Case, asked: Asked) -> str:
    """Say what the role is to do."""
    signs = {asked.adds and 1, asked.takes and -1}
    updates = [
        each
        for each in case.history.operations.values()
        if each.effect is Effect.UPDATE and not each.recovery
    ]
    names = [each.name for each in updates if each.sign in signs]
    rows = ", ".join(map(case.row, asked.rows))
    least, most = number(asked.smallest), number(asked.largest)
    return f"its options: {' and '.join(names)}, {least} to less than {most}, of {rows}"
