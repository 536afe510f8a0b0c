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
from common.errors import LabError
from common.exploration.observing import Observer
from common.exploration.shrinking import shrink
from common.exploration.strategies import Options, Strategy
from common.exploration.walking import (
    Found,
    NewlyShared,
    Shared,
    Walk,
    Walker,
    from_plain,
    plain,
)
from common.process.following import follow
from common.process.stage import Stage
from common.process.supervise import Supervisor
from common.scenario.plan import Plan
from common.scenario.schedule import Schedule, Token, write_token
from common.system import System, operations_of

STRATEGIES = "common.exploration.strategies"

# With no more interleavings than this, all are walked where nothing else is asked for: then the
# numbers are those that can be worked out by hand.
FEW = 2_000

Progress = Callable[[Walk], None]


@dataclass(frozen=True)
class Budget:
    """Where a walk stops: after so many schedules, or seconds."""

    schedules: int = 10_000
    seconds: float = 60.0


@dataclass
class Explored:
    """What came of it: the walk, what it proves, and the shortest schedule of each finding.

    ``tokens`` has a replay token for each kind; ``unrepeatable`` names kinds whose schedule did
    not do the same harm when it was followed again. ``interleavings`` is their number where it is
    known. ``saved`` is what a later walk needs to go on, None when it is complete.
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
    walk stopped. Raises ``MachineError`` and ``KernelObjectError`` when it cannot run.
    """
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
        raise KeyboardInterrupt
    if exploration.explored is None:
        raise LabError(_why_nothing(outcome.processes))
    exploration.explored.interrupted = outcome.interrupted
    exploration.explored.leaks = outcome.leaks
    return exploration.explored


def _why_nothing(processes: list[Any]) -> str:
    for process in processes:
        if process.error is not None:
            return f"{process.name} failed: {process.error['message']}"
        if process.hung is not None:
            return f"{process.name} hung: {process.hung}"
    return "the processes ended before they could be led"


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
        self._shown = 0.0
        self._until = math.inf

    def direct(self, stage: Stage) -> None:
        """Walk, shrink, and repeat what was found."""
        observer = Observer(self.plan, stage, operations_of(list(self.systems.values())))
        shared = Shared([] if self.saved is None else self.saved["walk"]["shared"])
        walker = Walker(stage, observer, shared)
        self._until = time.monotonic() + self.budget.seconds
        walker.learn()
        interleavings = _interleavings(stage, shared, self.plan)
        walk, strategy, reduced = self._choose(stage, walker, interleavings)
        judging_s = observer.judging_s
        # A token names every step, and who passes one freely cannot be stopped before it.
        walker.passes_freely = False
        for kind, found in list(walk.found.items()):
            if not stage.interrupted():
                walk.found[kind] = shrink(walker, found, self._begins())
        self.explored = Explored(
            plan=self.plan,
            strategy=self.name,
            reduced=reduced,
            walk=walk,
            proof=strategy.proof(walk.walked),
            interleavings=interleavings,
            initial=observer.initial,
            judging_s=judging_s,
        )
        for kind, found in walk.found.items():
            self._repeat(walker, kind, found)
        if not walk.complete:
            self.explored.saved = {"walk": plain(walk), "strategy": strategy.save()}

    def _choose(
        self, stage: Stage, walker: Walker, interleavings: int | None
    ) -> tuple[Walk, Strategy, bool]:
        """Walk with reduction or without: as asked for, as it was begun, or by their number."""
        asked = self.reduce if self.saved is None else bool(self.saved["reduced"])
        if asked is None and self.name == "exhaustive":
            if interleavings is None or interleavings <= FEW:
                few = min(FEW, self.budget.schedules)
                walk, strategy = self._walk(stage, walker, reduced=False, most=few)
                if walk.complete or self.budget.schedules <= FEW:
                    return walk, strategy, False
            asked = True
        asked = bool(asked)
        return *self._walk(stage, walker, reduced=asked, most=self.budget.schedules), asked

    def _walk(
        self, stage: Stage, walker: Walker, *, reduced: bool, most: int
    ) -> tuple[Walk, Strategy]:
        options = dataclasses.replace(self.options, reduce=reduced)
        saved = self.saved
        while True:
            strategy: Strategy = kinds.load(STRATEGIES, self.name).Strategy(options)
            walk = Walk()
            if saved is not None:
                walk = from_plain(saved["walk"])
                walk.complete = False
                strategy.restore(saved["strategy"])
            before = walk.walked

            def goes_on(now: Walk, before: int = before) -> bool:
                if self.progress is not None and time.monotonic() - self._shown > 0.2:
                    self._shown = time.monotonic()
                    self.progress(now)
                return (
                    now.walked - before < most
                    and time.monotonic() < self._until
                    and not stage.interrupted()
                )

            try:
                walker.walk(strategy, walk, goes_on)
            except NewlyShared:
                saved = None
                continue
            walk.shared = sorted(walker.shared.names)
            return walk, strategy

    def _begins(self) -> dict[int, str]:
        """Return for each process the step before which its role can be stopped."""
        found = {}
        for number, process in enumerate(self.plan.processes):
            module = kinds.load(self.systems[process.system].roles, process.role)
            if hasattr(module, "BEGINS"):
                found[number] = module.BEGINS
        return found

    def _repeat(self, walker: Walker, kind: str, found: Found) -> None:
        assert self.explored is not None
        walker.begin()
        follow(walker.stage, Schedule([list(move) for move in found.moves], exact=True))
        if kind not in walker.observer.look().kinds:
            self.explored.unrepeatable.append(kind)
        token = Token(self.plan.variant, self.plan.seed, found.moves)
        self.explored.tokens[kind] = write_token(token)


def _interleavings(stage: Stage, shared: Shared, plan: Plan) -> int | None:
    """Return how many orders of the shared steps there are; None where steps can wait.

    Without waiting every order is possible: (a + b + …)! / (a! · b! · …).
    """
    if any(stand.blocks and shared.covers(stand) for _, stand in stage.trace):
        return None
    counts = Counter(number for number, stand in stage.trace if shared.covers(stand))
    ways = math.factorial(sum(counts.values()))
    for count in counts.values():
        ways //= math.factorial(count)
    return ways
