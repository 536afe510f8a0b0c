"""Which runs does a matrix of kinds ask for? One scenario with every lock, table or channel.

A scenario says what it promises with its lock and what without: the first variant that is guarded
everywhere, and valid, stands for every lock that excludes, the first that is not for the others.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from common import kinds
from common.errors import ScenarioError, UsageError
from common.kinds import nearest
from common.scenario.load import Scenario, load
from common.scenario.plan import Part, Plan, plan
from common.system import System

# What guards a channel in shared memory, where locks are no axis.
GUARD = "sysv_sem"

AXES = {"lock": kinds.LOCKS, "table": kinds.TABLES, "channel": kinds.CHANNELS}


@dataclass(frozen=True)
class Cell:
    """One combination: the kind of each axis, and the plan that it makes for a seed.

    ``refused`` says why there is none, where the scenario cannot be had like this.
    """

    kinds: dict[str, str]
    variant: str
    planned: Callable[[int | None], Plan]
    refused: str = ""


def axes(text: str) -> list[str]:
    """Return the axes that ``text`` names (``lock,table``); raises ``UsageError``."""
    named = text.split(",")
    for axis in named:
        if axis not in AXES:
            raise UsageError(f"a matrix has no axis {axis!r}", nearest(axis, AXES))
    if len(set(named)) < len(named):
        raise UsageError(f"the matrix {text} names an axis twice")
    return named


def cells(
    path: Path, systems: Mapping[str, System], settings: Sequence[str], named: Sequence[str]
) -> list[Cell]:
    """Return every combination of the kinds of the axes ``named``, in their order.

    Raises ``ScenarioError`` where no combination can be had, and ``UsageError`` where the scenario
    does not say what it promises with a lock, or without one.
    """
    plain = load(path, systems, settings)
    plans = {name: plan(plain, name, 0, systems) for name in plain.variants}
    guarded = _first(plans, lambda each: _guarded(each))
    bare = _first(plans, lambda each: not _guarded(each), valid=False)
    shape = plans[guarded or bare or next(iter(plans))]
    places = {axis: _places(axis, shape) for axis in named}
    for axis, paths in places.items():
        if not paths:
            raise UsageError(f"{plain.source} has no {axis} to change", "choose another axis")
    found = []
    for combination in itertools.product(*(kinds.names(AXES[axis]) for axis in named)):
        chosen = dict(zip(named, combination, strict=True))
        open_to_all = not kinds.load(kinds.LOCKS, chosen.get("lock", "none")).EXCLUDES
        variant = bare if open_to_all and "lock" in chosen else guarded
        if variant is None:
            missing = "without its lock" if open_to_all else "with a lock everywhere"
            raise UsageError(
                f"{plain.source} has no variant {missing}: it does not say what to expect",
                "add one, with its expect",
            )
        changes = [f"{place}={_value(axis, chosen)}" for axis in named for place in places[axis]]
        try:
            loaded = load(path, systems, [*settings, *changes])
        except ScenarioError as error:
            why = "; ".join(dict.fromkeys(each.reason for each in error.complaints))
            found.append(Cell(chosen, variant, _none, why))
            last = error
            continue
        found.append(Cell(chosen, variant, partial(_planned, loaded, variant, systems)))
    if all(cell.refused for cell in found):
        raise last
    return found


def _first(
    plans: Mapping[str, Plan], fits: Callable[[Plan], bool], *, valid: bool = True
) -> str | None:
    """Return the first variant that fits and promises a valid run (or not), else the first."""
    found = [name for name, each in plans.items() if fits(each)]
    wanted = (name for name in found if (plans[name].expect.verdict == "valid") is valid)
    return next(wanted, found[0] if found else None)


def _planned(
    loaded: Scenario, variant: str, systems: Mapping[str, System], seed: int | None
) -> Plan:
    return plan(loaded, variant, seed, systems)


def _none(seed: int | None) -> Plan:
    raise ScenarioError([])


def _value(axis: str, chosen: Mapping[str, str]) -> str:
    """Return what an axis sets; a channel that a lock guards is not meant to be without one."""
    kind = chosen[axis]
    if axis != "channel" or not getattr(kinds.load(kinds.CHANNELS, kind), "GUARDED", True):
        return kind
    return f"{{kind: {kind}, lock: {chosen.get('lock', GUARD)}}}"


def _guarded(planned: Plan) -> bool:
    return all(kinds.load(kinds.LOCKS, lock.kind).EXCLUDES for lock in _locks(planned).values())


def _locks(planned: Plan) -> dict[str, Part]:
    """Return every lock of a plan by its dotted path in the scenario."""
    found = {}
    if planned.table is not None:
        found["table.lock"] = planned.table.lock
    if planned.paper is not None:
        found["paper.lock"] = planned.paper.lock
    for channel in planned.channels:
        module = kinds.load(kinds.CHANNELS, channel.part.kind)
        if getattr(module, "GUARDED", True):
            found[f"channels.{channel.name}.lock"] = channel.lock
    return found


def _places(axis: str, planned: Plan) -> list[str]:
    """Return the dotted paths at which the kinds of an axis stand."""
    if axis == "lock":
        return list(_locks(planned))
    if axis == "table":
        return [] if planned.table is None else ["table.store"]
    # A channel that is made for each process is its answer box, not what is compared.
    return [f"channels.{channel.name}" for channel in planned.channels if not channel.per]
