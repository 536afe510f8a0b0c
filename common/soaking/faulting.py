"""Which faults strike in a run of the soak: kinds, places and moments that this run really has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from common import kinds
from common.kernel import small_disk
from common.scenario.check_faults import WAIT
from common.scenario.groups import Group
from common.scenario.plan import Plan

Fault = dict[str, Any]

# Most shipped runs are over by then (s).
LATEST = 0.6
# Of these a process of the lab dies; SIGTERM asks it to finish, and that it does.
SIGNALS = ("KILL", "KILL", "KILL", "KILL", "TERM", "SEGV", "ABRT", "PIPE", "QUIT")


def draw_faults(source: Random, planned: Plan, members: Sequence[Group]) -> list[Fault]:
    """Return one to three faults for a run of this plan, as a scenario writes them."""
    possible = _possible(planned)
    drawn = []
    for _ in range(source.choice((1, 1, 2, 2, 3))):
        kind = source.choice(list(possible))
        fault = {"kind": kind, **possible[kind](source, planned)}
        drawn.append(fault | _trigger(source, planned, members, kind))
    return drawn


def draw_restart(source: Random) -> dict[str, Any]:
    """Return a restart policy."""
    return {
        "limit": source.choice((1, 3, 10)),
        "back_off": source.choice((0.0, 0.005, 0.02)),
        "longest": 0.1,
    }


def _trigger(source: Random, planned: Plan, members: Sequence[Group], kind: str) -> dict[str, Any]:
    """Return whom it strikes, or whose step it waits for, and when."""
    strikes = kinds.load(kinds.FAULTS, kind).STRIKES
    group = source.choice(members)
    if kind == "device":
        group = source.choice([each for each in members if "print" in _steps(each, planned)])
    name = source.choice((group.name, *group.processes))
    if source.random() < 0.3:
        by_time: dict[str, Any] = {"after": _rounded(source, LATEST)}
        if strikes:
            by_time["process"] = name
            if source.random() < 0.5:
                by_time |= {"period": source.choice((0.01, 0.03, 0.1)), "most": _few(source)}
        return by_time
    step = source.choice(_steps(group, planned))
    if kind == "device":
        step = "print"
    counted: dict[str, Any] = source.choice(
        (
            {"at": source.randint(1, 40)},
            {"at": source.randint(1, 5)},
            {"every": source.randint(3, 40), "most": _few(source)},
            {"probability": source.choice((0.003, 0.02, 0.1)), "most": _few(source)},
        )
    )
    where = {"step": step} if source.random() < 0.8 or kind == "device" else {}
    return {"process": name, **where, **counted}


def _steps(group: Group, planned: Plan) -> list[str]:
    found = set(getattr(group.module, "STEPS", ()))
    chosen = {channel.name: channel.part.kind for channel in planned.channels}
    for use in group.uses():
        module = kinds.load(kinds.CHANNELS, chosen[use.channel])
        found |= set(getattr(module, "STEPS", ()))
    return sorted({*found, WAIT})


def _few(source: Random) -> int:
    return source.choice((1, 2, 5, 20))


def _rounded(source: Random, most: float) -> float:
    return round(source.random() * most, 3)


def _possible(planned: Plan) -> dict[str, Callable[[Random, Plan], Fault]]:
    """Return the kinds that can strike in this run, each with what draws its options."""
    found: dict[str, Callable[[Random, Plan], Fault]] = {
        "kill": lambda source, _: {"signal": source.choice(SIGNALS)},
        "stop": lambda source, _: {"seconds": _rounded(source, 0.3)},
        "slow": lambda source, _: {"seconds": _rounded(source, 0.05)},
        "signals": lambda source, _: {"number": source.choice((1, 30, 1000))},
        "remove": lambda source, planned: {"what": source.choice(_named(planned))},
    }
    if planned.table is not None and planned.table.store.kind != "sysv_shm":
        found["truncate"] = lambda source, _: {
            "bytes": source.choice((0, 24, 96)),
            "grown_back": source.random() < 0.5,
        }
    if planned.channels:
        found["fill"] = lambda source, planned: {
            "channel": source.choice([channel.name for channel in planned.channels]),
            "messages": source.choice((1, 20, 10_000)),
        }
    if "spooler" in planned.systems and small_disk.allowed():
        found["disk_full"] = lambda source, _: {
            "room": source.choice((16_384, 65_536)),
            "seconds": source.choice((0.0, 0.05, 0.3)),
        }
    if any("printer" in group.role for group in planned.groups):
        found["device"] = lambda source, _: {"error": source.choice(("EIO", "ENOSPC", "ENXIO"))}
    return found


def _named(planned: Plan) -> list[str]:
    table = ["table", "lock"] if planned.table is not None else []
    return table + [channel.name for channel in planned.channels] or ["table"]
