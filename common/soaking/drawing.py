"""Which run comes next? Drawn from the soak's seed and the run's number, and from nothing else.

A shipped scenario and one of its variants; other locks, stores and channels in it where they fit;
faults; and what happens to the launcher itself.
"""

from __future__ import annotations

import json
import shlex
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from common import kinds
from common.errors import ScenarioError
from common.kernel import small_disk
from common.scenario.groups import Group, groups
from common.scenario.load import Scenario, load
from common.scenario.plan import Plan, plan
from common.soaking.faulting import draw_faults, draw_restart
from common.soaking.promise import guarded, may_find
from common.system import System

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
# One directory of scenarios that are all faults already: not more often than this.
FAULTS, ALREADY = "faults/", 0.1
# These ask for the lecture's keys and paths, which one run at a time can have.
APART = "programs/"
# What is left out and tried again, when a drawn change does not fit its scenario.
TRIES = 20

# A wait that is sure to be in vain must not take long, one that is not must never be so (s).
SHORT_WAIT, LONG_WAIT = 4, 60
DEADLINES = {"start": 60, "run": 120, "finish": 30, "starvation": 60}

GUARD = "{kind: sysv_sem, undo: true}"
MOMENTS = ("start", "ledger")
FATES = (*("",) * 10, "INT", "TERM", "HUP", "KILL", "STOP")


@dataclass(frozen=True)
class Fate:
    """What happens to the launcher: a signal, and after SIGSTOP comes SIGCONT.

    ``moment`` counts seconds ``since`` its ``start``, or since it has made its ``ledger``.
    """

    signal: signal.Signals
    since: str
    moment: float


@dataclass(frozen=True)
class Draft:
    """One run as it was drawn; ``number`` counts from 0.

    ``as_it_is``: nothing was changed in what the scenario says that could change its outcome.
    """

    number: int
    scenario: str
    settings: tuple[str, ...]
    one_core: bool
    fate: Fate | None
    as_it_is: bool
    plan: Plan
    allowed: Mapping[str, str]

    def words(self) -> list[str]:
        """Return the words that run it by itself, but for what happens to the launcher."""
        found = ["run", self.scenario, "--variant", self.plan.variant]
        found += ["--seed", str(self.plan.seed)]
        for setting in self.settings:
            found += ["--set", setting]
        return found

    def line(self) -> str:
        """Return these as a line for a shell."""
        return "run.py " + shlex.join(self.words())


def pool() -> list[str]:
    """Return the names of the shipped scenarios that any number of runs can have at once."""
    names = (str(path.relative_to(CONFIGS).with_suffix("")) for path in CONFIGS.rglob("*.yaml"))
    return sorted(name for name in names if not name.startswith(APART))


def draw(seed: int, number: int, systems: Mapping[str, System]) -> Draft:
    """Return run ``number`` of the soak with this seed: the same one each time."""
    source = Random(f"{seed}/{number}")
    while True:
        drawn = _draw(source, number, systems)
        if drawn is not None:
            return drawn


def _draw(source: Random, number: int, systems: Mapping[str, System]) -> Draft | None:
    every = pool()
    faulty = source.random() < ALREADY
    name = source.choice([each for each in every if each.startswith(FAULTS) == faulty] or every)
    try:
        loaded = load(CONFIGS / f"{name}.yaml", systems)
    except ScenarioError:
        # It needs what is not built here.
        return None
    variant = source.choice(list(loaded.variants))
    planned = plan(loaded, variant, 0, systems)
    if any(fault.kind == "disk_full" for fault in planned.faults) and not small_disk.allowed():
        return None
    settled = planned.schedule is not None or bool(planned.faults)
    settled = settled or any(process.program is not None for process in planned.processes)
    endless = planned.deadlines.run == 0
    settings = [] if settled else _changes(source, name, loaded, planned, systems)
    if settings and source.random() < 0.9:
        settings += _disturbances(source, name, loaded, variant, settings, systems)
    as_it_is = settled or not any(each.startswith("faults=") for each in settings)
    seed = source.getrandbits(31)
    drawn = _planned(name, variant, seed, settings, systems)
    if drawn is None:
        return None
    allowed = may_find(drawn, systems)
    if not settled:
        wait = SHORT_WAIT if "process_hung" in allowed else LONG_WAIT
        times = DEADLINES | {"wait": wait} | ({"run": 0} if endless else {})
        settings.append(f"deadlines={json.dumps(times)}")
        drawn = _planned(name, variant, seed, settings, systems)
        assert drawn is not None
    fate = _fate(source, endless)
    one_core = source.random() < 0.25
    return Draft(number, name, tuple(settings), one_core, fate, as_it_is, drawn, allowed)


def _planned(
    name: str, variant: str, seed: int, settings: Sequence[str], systems: Mapping[str, System]
) -> Plan | None:
    try:
        loaded = load(CONFIGS / f"{name}.yaml", systems, settings)
    except ScenarioError:
        return None
    return plan(loaded, variant, seed, systems)


def _changes(
    source: Random, name: str, loaded: Scenario, planned: Plan, systems: Mapping[str, System]
) -> list[str]:
    """Return settings that give the run other kinds, and leave what it promises as it is."""
    wanted = []
    if planned.table is not None:
        if guarded(planned) and source.random() < 0.7:
            wanted.append(f"table.lock={_lock(source)}")
        if source.random() < 0.5:
            wanted.append(f"table.store={source.choice(kinds.names(kinds.TABLES))}")
        if source.random() < 0.2:
            wanted.append("table.granularity=row")
        if source.random() < 0.25:
            half_done = source.choice(("undo", "finish"))
            wanted.append(f"table.recovery={{kind: intent, half_done: {half_done}}}")
    # A promised anomaly may be that of its very kind: only what is to be valid is so on every one.
    sound = guarded(planned) and planned.expect.verdict == "valid"
    for channel in planned.channels:
        # One that is made for each process is its answer box.
        if sound and channel.per is None and source.random() < 0.4:
            wanted.append(f"channels.{channel.name}={_channel(source)}")
    if source.random() < 0.15:
        wanted.append("spawn=exec")
    kept: list[str] = []
    for each in wanted:
        made = _planned(name, planned.variant, 0, [*kept, each], systems)
        # Not every kind guards by its lock what it replaces (one_slot with its star).
        if made is not None and (guarded(made) or not guarded(planned)):
            kept.append(each)
    # The scenario's own way is a change, too: it says that nothing else is.
    return kept or [f"seed={source.getrandbits(16)}"]


def _lock(source: Random) -> str:
    every = [k for k in kinds.names(kinds.LOCKS) if kinds.load(kinds.LOCKS, k).EXCLUDES]
    kind = source.choice(every)
    if hasattr(kinds.load(kinds.LOCKS, kind).Options, "undo"):
        return json.dumps({"kind": kind, "undo": source.random() < 0.7})
    return kind


def _channel(source: Random) -> str:
    kind = source.choice(kinds.names(kinds.CHANNELS))
    if getattr(kinds.load(kinds.CHANNELS, kind), "GUARDED", True):
        return f"{{kind: {kind}, lock: {GUARD}}}"
    return kind


def _disturbances(
    source: Random,
    name: str,
    loaded: Scenario,
    variant: str,
    settings: Sequence[str],
    systems: Mapping[str, System],
) -> list[str]:
    """Return settings that let things go wrong; none where nothing that was drawn fits."""
    for _ in range(TRIES):
        planned = _planned(name, variant, 0, settings, systems)
        assert planned is not None
        members = _members(loaded, variant, systems)
        faults = draw_faults(source, planned, members)
        found = [f"faults={json.dumps(faults)}"]
        for group in members:
            if source.random() < 0.4:
                policy = json.dumps(draw_restart(source))
                found.append(f"processes.{group.name}.restart={policy}")
        if _planned(name, variant, 0, [*settings, *found], systems) is not None:
            return found
    return []


def _members(loaded: Scenario, variant: str, systems: Mapping[str, System]) -> list[Group]:
    chosen = loaded.variants[variant]
    roles = {
        role: systems[system]
        for system in reversed(chosen.systems)
        for role in kinds.names(systems[system].roles)
    }
    return groups(chosen.values, roles)


def _fate(source: Random, endless: bool) -> Fate | None:
    drawn = source.choice(FATES)
    since = source.choice(MOMENTS)
    moment = round(source.random() * 1.5, 3)
    if endless and drawn in ("", "STOP"):
        # It runs until somebody ends it.
        drawn, since = "INT", "ledger"
    return Fate(signal.Signals[f"SIG{drawn}"], since, moment) if drawn else None
