"""What could end in one way today and in another tomorrow? That is not graded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from common.errors import UsageError
from common.exploration.explore import refuse_endless, refuse_unwalkable
from common.scenario.groups import RECORDED
from common.scenario.plan import Plan
from common.system import System


def reasons(
    plan: Plan, systems: Mapping[str, System], *, led: bool, walked: bool
) -> Iterator[tuple[str, str]]:
    """Yield why points for ``plan`` would be luck, each with its mend.

    ``led`` says that a schedule leads its processes, ``walked`` that many schedules do.
    """
    if not led and len(plan.processes) > 1:
        yield (
            f"{len(plan.processes)} processes run freely here: what comes of it is luck",
            "walk: {schedules: 50}, or schedules: with tokens that explore printed",
        )
    plain = [
        each.name for each in plan.processes if each.program and each.program.level != RECORDED
    ]
    if led and plain:
        yield (
            f"{plain[0]} is a plain program: it has no steps, and nobody can lead it",
            f"level: {RECORDED}, or one process alone",
        )
    for fault in plan.faults:
        if fault.trigger.after is not None:
            yield f"the fault {fault.kind} strikes after a time: where, is luck", "at a step"
    if plan.deadlines.run == 0:
        yield "a run has no deadline here", "deadlines: {run: 20}"
    try:
        if led:
            refuse_endless(plan, systems)
        if walked:
            refuse_unwalkable(plan)
    except UsageError as error:
        yield error.message, error.hint
