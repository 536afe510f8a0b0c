"""What must fit together where a scenario lets things go wrong: who is struck, where, and when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common import kinds
from common.kinds import nearest
from common.scenario.groups import Group
from common.scenario.shapes import Chosen
from common.scenario.values import Path, Reading

COUNTS = ("at", "every", "probability")
# Passed by every process that is about to block (``common.process.triggers.WAIT``).
WAIT = "wait"


def check(values: Mapping[str, Any], members: list[Group], reading: Reading) -> None:
    """Complain in ``reading`` of every fault that does not fit the scenario."""
    wanted = values.get("faults", [])
    if wanted and "schedule" in values:
        reason = "a schedule leads processes from step to step, and a fault would break it off"
        reading.complain(("schedule",), reason, "leave one of them out", at_key=True)
    for at, chosen in enumerate(wanted):
        path: Path = ("faults", at)
        if chosen is None or not reading.sound(path):
            continue
        _check_trigger(path, chosen, reading)
        _check_place(path, chosen, values, members, reading)
        module = kinds.load(kinds.FAULTS, chosen.kind)
        fits = getattr(module, "fits", None)
        why = fits(chosen.common.get("step", ""), values) if fits is not None else ""
        if why:
            place = (*path, "step") if "step" in chosen.common else path
            reading.complain(place, why, "step: print, send or receive")
        judge = getattr(module, "check", None)
        if judge is not None:
            for option, reason in judge(module.Options(**chosen.options), values).items():
                reading.complain((*path, option) if option else path, reason)


def _check_trigger(path: Path, chosen: Chosen, reading: Reading) -> None:
    given = chosen.common
    counts = [name for name in COUNTS if name in given]
    if len(counts) > 1:
        reason = f"{counts[0]} and {counts[1]} each say how often"
        reading.complain((*path, counts[1]), reason, "leave one of them out", at_key=True)
    if "after" in given:
        for name in (*counts, "step"):
            if name in given:
                reason = f"{name} counts steps, and after is a time"
                reading.complain((*path, name), reason, "leave one out", at_key=True)
    elif "period" in given:
        reason = "period says how long after `after` it strikes again"
        reading.complain((*path, "period"), reason, "add after: 0.1", at_key=True)
    strikes = kinds.load(kinds.FAULTS, chosen.kind).STRIKES
    if "process" not in given and (strikes or "after" not in given):
        what = "it strikes a process" if strikes else "its steps say when"
        hint = "process: trader-0, or a group" + ("" if strikes else "; or after: 0.1")
        reading.complain(path, f"the fault names no process: {what}", hint)


def _check_place(
    path: Path,
    chosen: Chosen,
    values: Mapping[str, Any],
    members: list[Group],
    reading: Reading,
) -> None:
    name, step = chosen.common.get("process"), chosen.common.get("step")
    if name is None or not reading.sound(("processes",)):
        return
    found = [group for group in members if name == group.name or name in group.processes]
    if not found:
        known = [each for group in members for each in (group.name, *group.processes)]
        reading.complain((*path, "process"), f"there is no process {name!r}", nearest(name, known))
    elif step is not None and reading.sound(("channels",)):
        steps = {*found[0].steps(values.get("channels", {})), WAIT}
        if found[0].plain:
            reason = f"{found[0].name} is a plain program: it has no steps"
            reading.complain((*path, "step"), reason, "level: recorded, or after: 0.1, and no step")
        elif step not in steps:
            reason = f"a {found[0].chosen.kind} has no step {step!r}"
            reading.complain((*path, "step"), reason, nearest(step, sorted(steps)))
