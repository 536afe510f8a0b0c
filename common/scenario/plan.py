"""The plan of one run: a scenario's variant made concrete, stored as ``plan.json``."""

from __future__ import annotations

import random
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from common import kinds
from common.errors import UsageError
from common.scenario.faults import FaultPlan, Restart, faults, restart
from common.scenario.groups import PLAIN, Group, groups
from common.scenario.schedule import Schedule, moves_of
from common.system import System

if TYPE_CHECKING:
    from common.scenario.load import Scenario
    from common.scenario.shapes import Chosen


# What one lock of the table guards: all of it, or one row.
GRANULARITIES = ("table", "row")
# What becomes of an operation that a dead holder of the lock left half done.
RECOVERIES = ("none", "undo", "finish")
# Stands among the channels that a group uses; no channel can have this name.
THE_SPOOL = "the spool"


@dataclass(frozen=True)
class Part:
    """A lock, store or channel as it is wanted: its kind and that kind's options."""

    kind: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TablePlan:
    """The shared table: where it is kept, what guards it, and its first contents.

    ``granularity`` is ``table`` where one lock guards all rows, ``row`` where each has its own.
    ``recovery`` says what the next holder does with what a dead one left half done.
    """

    store: Part
    lock: Part
    names: list[str]
    rows: list[list[float]]
    granularity: str = "table"
    recovery: str = "none"


@dataclass(frozen=True)
class ChannelPlan:
    """One channel; with ``per`` it is made once for each process of that group."""

    name: str
    index: int
    part: Part
    lock: Part
    message_size: int
    per: str | None = None


@dataclass(frozen=True)
class PaperPlan:
    """The paper that all printers of a run print on, and what guards it."""

    lock: Part


@dataclass(frozen=True)
class SpoolPlan:
    """The spool of a run: what it promises of a job whose printer dies, and whose printing fails.

    See :mod:`common.kernel.spool` for the words. ``retries`` bounds how often a job is printed
    again after a failure, ``back_off`` (s) is how long it is held before. With ``path``, below the
    directory of the scenario's runs, it outlives the run.
    """

    promise: str
    on_error: str
    retries: int = 3
    back_off: float = 0.0
    path: str | None = None


@dataclass(frozen=True)
class ProgramPlan:
    """A program that takes a role: its words, where it works, and what it knows (``level``).

    ``uses_table`` says whether its role has to do with the table; ``lines`` is what a plain one
    reads on its standard input. ``changes`` is what these make of
    the stock of each row, and ``balance`` what they leave its teller; None where nobody can tell.
    """

    words: list[str]
    directory: str
    level: str
    uses_table: bool = False
    lines: str = ""
    changes: list[float] | None = None
    balance: float | None = None


@dataclass(frozen=True)
class ProcessPlan:
    """One process: its role with options, its own seed, its delays by step (see steps).

    ``program`` is the one that takes the role, where it is not the lab's own.
    """

    name: str
    group: str
    role: str
    system: str
    index: int
    seed: int
    options: dict[str, Any]
    delays: dict[str, dict[str, int]]
    spawn: str
    program: ProgramPlan | None = None

    @property
    def level(self) -> str:
        """What a program that takes the role knows of the lab; "" for the lab's own."""
        return "" if self.program is None else self.program.level

    @property
    def plain(self) -> bool:
        """Whether a program takes the role that writes no history."""
        return self.level == PLAIN


@dataclass(frozen=True)
class GroupPlan:
    """The processes of one entry of ``processes``, and the channels they use.

    ``restart`` says what becomes of one that is killed or fails; None: nothing.
    """

    name: str
    role: str
    system: str
    processes: list[str]
    receives: list[str]
    sends: list[str]
    restart: Restart | None = None


@dataclass(frozen=True)
class Expect:
    """What the scenario promises: a verdict, findings that must all, or of which one must, show."""

    verdict: str = "valid"
    findings: list[str] = field(default_factory=list)
    any: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Deadlines:
    """Seconds that a phase may take: start, run, finish; and any single wait of a process.

    A wait of ``starvation`` seconds is too long if others got the lock again and again meanwhile.
    """

    start: float = 15.0
    run: float = 60.0
    finish: float = 10.0
    wait: float = 20.0
    starvation: float = 2.0


@dataclass(frozen=True)
class Plan:
    """Everything a run needs to know; equal plans make equal runs but for the kernel's timing."""

    scenario: str
    source: str
    variant: str
    seed: int
    systems: list[str]
    table: TablePlan | None
    channels: list[ChannelPlan]
    paper: PaperPlan | None
    groups: list[GroupPlan]
    processes: list[ProcessPlan]
    deadlines: Deadlines
    expect: Expect
    settings: dict[str, Any] = field(default_factory=dict)
    schedule: Schedule | None = None
    faults: list[FaultPlan] = field(default_factory=list)
    spool: SpoolPlan | None = None

    def group(self, name: str) -> GroupPlan:
        """Return the group called ``name``; raises ``KeyError``."""
        for group in self.groups:
            if group.name == name:
                return group
        raise KeyError(name)

    def channel(self, name: str) -> ChannelPlan:
        """Return the channel called ``name``; raises ``KeyError``."""
        for channel in self.channels:
            if channel.name == name:
                return channel
        raise KeyError(name)


def plan(
    scenario: Scenario, variant: str | None, seed: int | None, systems: Mapping[str, System]
) -> Plan:
    """Make one variant concrete: the scenario's first when ``variant`` is None.

    Without a ``seed`` the scenario's own is used, or one is drawn. Raises ``UsageError`` for a
    variant that the scenario does not have.
    """
    name = next(iter(scenario.variants)) if variant is None else variant
    if name not in scenario.variants:
        raise UsageError(
            f"{scenario.source} has no variant {name!r}", kinds.nearest(name, scenario.variants)
        )
    planned = scenario.variants[name]
    values = planned.values
    if seed is None:
        seed = values.get("seed", secrets.randbits(31))
    roles = {
        role: systems[system]
        for system in reversed(planned.systems)
        for role in kinds.names(systems[system].roles)
    }
    members = groups(values, roles)
    paper = values.get("paper")
    moves = values.get("schedule")
    table = _table(values, [systems[system] for system in planned.systems])
    return Plan(
        scenario=scenario.name,
        source=scenario.source,
        variant=name,
        seed=seed,
        systems=list(planned.systems),
        table=table,
        channels=_channels(values, members),
        paper=None if paper is None else PaperPlan(_lock(paper)),
        groups=[_group(group) for group in members],
        processes=_processes(values, members, seed, table),
        deadlines=Deadlines(**values.get("deadlines", {})),
        expect=Expect(**values.get("expect", {})),
        settings=dict(planned.settings),
        schedule=None if moves is None else Schedule([list(move) for move in moves_of(moves)]),
        faults=faults(values),
        spool=SpoolPlan(**values["spool"]) if values.get("spool") else None,
    )


def _part(package: str, chosen: Chosen) -> Part:
    # With every default written out, a stored plan keeps its meaning when a default changes.
    options = kinds.load(package, chosen.kind).Options(**chosen.options)
    return Part(chosen.kind, asdict(options))


def _lock(values: Mapping[str, Any]) -> Part:
    chosen = values.get("lock")
    return Part("none") if chosen is None else _part(kinds.LOCKS, chosen)


def _table(values: Mapping[str, Any], systems: list[System]) -> TablePlan | None:
    layout = next((system.table for system in systems if system.table is not None), None)
    table = values.get("table")
    if table is None or layout is None:
        return None
    changes = table.get("rows", {})
    rows = [
        [
            changes.get(name, {}).get(cell, value)
            for cell, value in zip(layout.fields, row, strict=True)
        ]
        for name, row in zip(layout.rows, layout.initial, strict=True)
    ]
    return TablePlan(
        _part(kinds.TABLES, table["store"]),
        _lock(table),
        list(layout.rows),
        rows,
        table.get("granularity", GRANULARITIES[0]),
        _recovery(table.get("recovery")),
    )


def _recovery(chosen: Chosen | None) -> str:
    if chosen is None or chosen.kind == "none":
        return RECOVERIES[0]
    half_done: str = chosen.options.get("half_done", "undo")
    return half_done


def _channels(values: Mapping[str, Any], members: list[Group]) -> list[ChannelPlan]:
    uses = [use for group in members for use in group.uses()]
    return [
        ChannelPlan(
            name=name,
            index=index,
            part=_part(kinds.CHANNELS, chosen),
            lock=_lock(chosen.common),
            message_size=max(use.size for use in uses if use.channel == name),
            per=chosen.common.get("per"),
        )
        for index, (name, chosen) in enumerate(values.get("channels", {}).items())
    ]


def _group(group: Group) -> GroupPlan:
    def through(mode: str) -> list[str]:
        found = dict.fromkeys(use.channel for use in group.uses() if use.mode == mode)
        # Who takes from the spool is told to finish when all have ended who put something there.
        return [*found, *([THE_SPOOL] if group.spool == mode else [])]

    return GroupPlan(
        name=group.name,
        role=group.chosen.kind,
        system=group.system.name,
        processes=group.processes,
        receives=through("receive"),
        sends=through("send"),
        restart=restart(group.chosen),
    )


def _processes(
    values: Mapping[str, Any], members: list[Group], seed: int, table: TablePlan | None
) -> list[ProcessPlan]:
    processes: list[ProcessPlan] = []
    for group in members:
        program = _program(group, table)
        steps = group.steps(values.get("channels", {}))
        shared = {step: d for step, d in values.get("delays", {}).items() if step in steps}
        for name in group.processes:
            processes.append(
                ProcessPlan(
                    name=name,
                    group=group.name,
                    role=group.chosen.kind,
                    system=group.system.name,
                    index=len(processes),
                    # Named, not numbered: a group added to a scenario leaves the others' seeds.
                    seed=random.Random(f"{seed}/{name}").getrandbits(63),
                    options=asdict(group.module.Options(**group.chosen.options)),
                    delays={**shared, **group.delays},
                    spawn=group.chosen.common.get("spawn", values.get("spawn", "fork")),
                    program=program,
                )
            )
    return processes


def _program(group: Group, table: TablePlan | None) -> ProgramPlan | None:
    command = group.chosen.common.get("command")
    if command is None:
        return None
    options = group.module.Options(**group.chosen.options)
    level = group.chosen.common.get("level", PLAIN)
    # A role whose work is settled beforehand says what it reads, and what comes of it.
    read = getattr(group.module, "standard_input", None)
    promise = getattr(group.module, "promised", None)
    lines = read(options) if read is not None and level == PLAIN else ""
    changes, balance = None, None
    if promise is not None and table is not None:
        changes, balance = promise(options, table.rows)
    words, place = command.words, command.directory
    return ProgramPlan(words, place, level, group.needs_table, lines, changes, balance)
