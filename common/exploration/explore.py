"""Explores one variant of a scenario: starts its processes once and walks schedules with them."""

from __future__ import annotations

import dataclasses
import math
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common import kinds
from common.errors import (
    LabError,
    ObjectVanished,
    ProcessError,
    ProcessLost,
    ScheduleMisfit,
    UsageError,
)
from common.exploration.observing import Observer
from common.exploration.shrinking import shrink
from common.exploration.strategies import Options, Strategy
from common.exploration.walking import (
    Found,
    NewlyShared,
    Over,
    Shared,
    Walk,
    Walker,
    from_plain,
    moves,
    plain,
)
from common.process.following import follow
from common.process.stage import Stage
from common.process.supervise import Supervisor
from common.scenario.plan import Plan
from common.scenario.schedule import Move, Schedule, Token, write_token
from common.system import System, operations_of

STRATEGIES = "common.exploration.strategies"

# With no more interleavings than this, all are walked where nothing else is asked for: then the
# numbers are those that can be worked out by hand.
FEW = 2_000
# Larger numbers of interleavings are not worked out.
COUNTED = 10**18

Progress = Callable[[Walk], None]


class TooLittleTime(UsageError):
    """Not even the schedules from which a walk learns came to their end."""


@dataclass(frozen=True)
class Budget:
    """Where a walk stops: after so many schedules, or seconds; ``shrinking`` bounds one finding."""

    schedules: int = 10_000
    seconds: float = 60.0
    shrinking: float = 10.0


@dataclass
class Explored:
    """What came of it: the walk, what it proves, and the shortest schedule of each finding.

    ``tokens`` has a replay token for each kind; ``unrepeatable`` names kinds whose schedule did
    not do the same harm when it was followed again. ``interleavings`` is their number where it is
    known. ``broken`` says why a walk ended before its time, if a process failed, died or stood
    still in it; ``broken_by`` is the token of that schedule, up to there, where a process failed by
    itself. ``saved`` is what a later walk needs to go on, None when it is complete.
    """

    plan: Plan
    strategy: str
    reduced: bool
    walk: Walk
    proof: str
    tokens: dict[str, str] = field(default_factory=dict)
    unrepeatable: list[str] = field(default_factory=list)
    interleavings: int | None = None
    interrupted: int | None = None
    broken: str = ""
    broken_by: str = ""
    initial: list[list[float]] | None = None
    judging_s: float = 0.0
    saved: dict[str, Any] | None = None
    leaks: list[dict[str, Any]] = field(default_factory=list)


def explore(
    plan: Plan,
    systems: Mapping[str, System],
    run_dir: Path,
    base: Path,
    strategy: str,
    options: Options,
    budget: Budget,
    *,
    reduce: bool | None = None,
    saved: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> Explored:
    """Walk schedules of ``plan`` within ``budget``; the processes are started once.

    ``reduce`` None leaves it to the number of interleavings; ``saved`` goes on where an earlier
    walk stopped. Raises ``UsageError`` for a scenario whose schedules have no end or cannot be
    told, ``MachineError`` and ``KernelObjectError`` when it cannot run.
    """
    refuse_endless(plan, systems)
    refuse_unwalkable(plan)
    exploration = _Exploration(plan, systems, strategy, options, budget, reduce, saved, progress)
    nobody = lambda _event, **_facts: None  # noqa: E731
    supervisor = Supervisor(plan, systems, run_dir, base, nobody, direct=exploration.direct)
    cores = os.sched_getaffinity(0)
    # One core for all: only one process runs at a time, and a hand-over within a core is cheaper
    # than between two.
    os.sched_setaffinity(0, {min(cores)})
    try:
        outcome = supervisor.perform()
    finally:
        os.sched_setaffinity(0, cores)
    if exploration.explored is None and outcome.interrupted:
        exploration.explored = Explored(plan, strategy, False, Walk(), "no schedule was walked")
    if exploration.explored is None:
        raise exploration.why or ProcessError(_why_nothing(outcome.processes))
    exploration.explored.interrupted = outcome.interrupted
    exploration.explored.leaks = outcome.leaks
    return exploration.explored


def refuse_endless(plan: Plan, systems: Mapping[str, System]) -> None:
    """Raise ``UsageError`` for a process that works until it is told to finish."""
    for process in plan.processes:
        endless = getattr(kinds.load(systems[process.system].roles, process.role), "ENDLESS", "")
        if endless and process.options.get(endless) == 0:
            raise UsageError(
                f"{process.name} works until it is told to finish: its schedules have no end",
                f"--set processes.{process.group}.{endless}=2",
            )


def refuse_faults(plan: Plan) -> None:
    """Raise ``UsageError`` for a plan whose faults would break a schedule off."""
    if plan.faults:
        raise UsageError(
            f"faults strike in {plan.scenario}, and a schedule would be broken off by them",
            "--set faults=[] leaves them out; `run.py crash` kills at each step in turn",
        )


def refuse_unwalkable(plan: Plan) -> None:
    """Raise ``UsageError`` for a plan that cannot be led from step to step.

    That is one with faults, with plain programs, or with a channel of which nobody can tell what
    can be received now.
    """
    refuse_faults(plan)
    for process in plan.processes:
        if process.plain:
            raise UsageError(
                f"{process.name} is a plain program: it has no steps, and nobody can lead it",
                f"level: recorded, or leave {process.group} out",
            )
    if plan.spool is not None:
        raise UsageError(
            f"schedules of {plan.scenario} cannot be walked: who waits at its spool sleeps in the "
            "kernel, and cannot be led",
            "run it; its faults kill at each step",
        )
    for channel in plan.channels:
        kind = channel.part.kind
        if not getattr(kinds.load(kinds.CHANNELS, kind), "WALKABLE", True):
            raise UsageError(
                f"schedules with channel {channel.name} cannot be walked: what was sent through a "
                f"{kind} may be on its way, and nobody can tell who could receive it",
                f"--set channels.{channel.name}=pipe, or another kind that keeps what it was given",
            )


def _why_nothing(processes: list[Any]) -> str:
    for process in processes:
        if process.error is not None:
            return f"{process.name} failed: {process.error['message']}"
        if process.hung is not None:
            return f"{process.name} hung: {process.hung}"
    return "the processes ended before they could be led; stderr.txt has their last words"


class _Exploration:
    def __init__(
        self,
        plan: Plan,
        systems: Mapping[str, System],
        strategy: str,
        options: Options,
        budget: Budget,
        reduce: bool | None,
        saved: dict[str, Any] | None,
        progress: Progress | None,
    ) -> None:
        self.plan = plan
        self.systems = systems
        self.name = strategy
        self.options = options
        self.budget = budget
        self.reduce = reduce
        self.saved = saved
        self.progress = progress
        self.explored: Explored | None = None
        # Why there is nothing to tell.
        self.why: LabError | None = None
        self._shown = 0.0
        self._until = math.inf
        self._walked = Walk()
        self._reduced = False

    def direct(self, stage: Stage) -> None:
        """Walk, shrink, and repeat what was found."""
        observer = Observer(self.plan, stage, operations_of(list(self.systems.values())))
        shared = Shared([] if self.saved is None else self.saved["walk"]["shared"])
        walker = Walker(stage, observer, shared)
        self._until = time.monotonic() + self.budget.seconds
        try:
            walker.learn(lambda: self._may(stage))
        except Over:
            if not stage.interrupted():
                self.why = TooLittleTime(
                    f"--seconds {self.budget.seconds:g} is less than two schedules take", "more"
                )
            return
        except (ProcessLost, ObjectVanished) as lost:
            self.why = ProcessError(f"nothing was walked: {lost}")
            return
        interleavings = _interleavings(stage, shared)
        self.strategy = self._fresh()
        try:
            self._choose(stage, walker, interleavings)
            walk = self._walked
            self._tell(observer, interleavings)
            # A token names every step, and who passes one freely cannot be stopped before it.
            walker.passes_freely = False
            for kind, found in list(walk.found.items()):
                if not stage.interrupted():
                    seconds = self.budget.shrinking
                    walk.found[kind] = shrink(walker, found, self._begins(), seconds)
            for kind, found in walk.found.items():
                self._repeat(walker, kind, found)
        except (ProcessLost, ObjectVanished) as lost:
            explored = self.explored or self._tell(observer, interleavings)
            explored.broken = str(lost)
            if any(player.lost and player.summary for player in stage.players):
                explored.broken_by = self._token(moves(stage, shared))
        for kind, found in self._walked.found.items():
            assert self.explored is not None
            self.explored.tokens[kind] = self._token(found.moves)

    def _tell(self, observer: Observer, interleavings: int | None) -> Explored:
        walk = self._walked
        self.explored = Explored(
            plan=self.plan,
            strategy=self.name,
            reduced=self._reduced,
            walk=walk,
            proof=self.strategy.proof(walk.walked),
            interleavings=self._number(interleavings),
            initial=observer.initial,
            judging_s=observer.judging_s,
        )
        if not walk.complete:
            self.explored.saved = {"walk": plain(walk), "strategy": self.strategy.save()}
        return self.explored

    def _number(self, interleavings: int | None) -> int | None:
        """Return the number of interleavings: counted, or worked out where it is not too large."""
        if self._walked.complete and not self._reduced and self.options.preemptions is None:
            return self._walked.walked
        return None if interleavings == COUNTED else interleavings

    def _token(self, schedule: list[Move]) -> str:
        return write_token(Token(self.plan.variant, self.plan.seed, schedule))

    def _may(self, stage: Stage) -> bool:
        return time.monotonic() < self._until and not stage.interrupted()

    def _choose(self, stage: Stage, walker: Walker, interleavings: int | None) -> None:
        """Walk with reduction or without: as asked for, as it was begun, or by their number."""
        asked = self.reduce if self.saved is None else bool(self.saved["reduced"])
        most = self.budget.schedules
        if asked is None and self.name == "exhaustive":
            if interleavings is None or interleavings <= FEW:
                self._walk(stage, walker, reduced=False, most=min(FEW, most))
                if self._walked.complete or most <= FEW or not self._may(stage):
                    return
            asked = True
        self._walk(stage, walker, reduced=bool(asked), most=most)

    def _fresh(self) -> Strategy:
        options = dataclasses.replace(self.options, reduce=self._reduced)
        fresh: Strategy = kinds.load(STRATEGIES, self.name).Strategy(options)
        return fresh

    def _walk(self, stage: Stage, walker: Walker, *, reduced: bool, most: int) -> None:
        self._reduced = reduced
        saved = self.saved
        while True:
            strategy = self.strategy = self._fresh()
            walk = self._walked = Walk()
            if saved is not None:
                walk = self._walked = from_plain(saved["walk"])
                strategy.restore(saved["strategy"])
            last = walk.walked + most

            def goes_on(now: Walk = walk, last: int = last) -> bool:
                if self.progress is not None and time.monotonic() - self._shown > 0.2:
                    self._shown = time.monotonic()
                    self.progress(now)
                return now.walked < last and self._may(stage)

            try:
                walker.walk(strategy, walk, goes_on)
            except NewlyShared:
                saved = None
                continue
            walk.shared = sorted(walker.shared.names)
            return

    def _begins(self) -> dict[int, str]:
        """Return for each process the step before which its role can be stopped."""
        found = {}
        for number, process in enumerate(self.plan.processes):
            module = kinds.load(self.systems[process.system].roles, process.role)
            if hasattr(module, "BEGINS"):
                found[number] = module.BEGINS
        return found

    def _repeat(self, walker: Walker, kind: str, found: Found) -> None:
        """Follow a schedule once more, as its token would have it."""
        assert self.explored is not None
        walker.begin()
        try:
            follow(walker.stage, Schedule([list(move) for move in found.moves], exact=True))
            repeated = kind in walker.observer.look().kinds
        except ScheduleMisfit:
            repeated = False
        if walker.stage.interrupted():
            return
        walker.check()
        if not repeated:
            self.explored.unrepeatable.append(kind)


def _interleavings(stage: Stage, shared: Shared) -> int | None:
    """Return how many orders of the shared steps there are, if each does the same in all of them.

    None where steps can wait, ``COUNTED`` when there are more. Without waiting every order is
    possible: (a + b + …)! / (a! · b! · …).
    """
    if any(stand.blocks and shared.covers(stand) for _, stand in stage.trace):
        return None
    counts = Counter(number for number, stand in stage.trace if shared.covers(stand))
    ways, total = 1, 0
    for count in counts.values():
        for at in range(1, count + 1):
            total += 1
            # Always whole: a product of binomial coefficients.
            ways = ways * total // at
            if ways > COUNTED:
                return COUNTED
    return ways
