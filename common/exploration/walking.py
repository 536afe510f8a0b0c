"""Walks schedules of real processes, one after another, and keeps what each kind of harm needs.

Only steps that touch what another process changes are choices: what no other can see is done as
soon as it can be. Which objects those are is learnt from the walk itself; when a schedule shows a
new one, the walk begins again with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from common.errors import ProcessLost, StoredRunError
from common.exploration.observing import Observer, Rows, Seen
from common.exploration.strategies import State, Strategy
from common.process.players import Stand
from common.process.stage import Stage
from common.scenario.schedule import LEAVE, STOP, Move

# Looking a walk through for what is shared, who works without end may pass so many steps.
ENOUGH = 2_000

GoesOn = Callable[[], bool]


@dataclass
class Found:
    """One kind of finding: in how many schedules, and the shortest of them.

    Shortest is: fewest operations, then fewest switches from one process to another.
    """

    kind: str
    schedules: int
    operations: int
    switches: int
    moves: list[Move]

    @property
    def size(self) -> tuple[int, int, int]:
        """What the shortest is the least of."""
        return self.operations, self.switches, len(self.moves)


@dataclass
class Walk:
    """What a walk has found so far.

    ``outcomes`` counts schedules by final rows and kinds of findings; ``undecided`` those in which
    a checker failed; ``doubted`` those whose records contradict themselves, and ``doubt`` says how
    in the first one; ``complete`` says that the strategy has nothing left.
    """

    walked: int = 0
    steps: int = 0
    seconds: float = 0.0
    complete: bool = False
    undecided: int = 0
    doubted: int = 0
    doubt: str = ""
    outcomes: dict[str, tuple[Rows | None, tuple[str, ...], int]] = field(default_factory=dict)
    found: dict[str, Found] = field(default_factory=dict)
    shared: list[str] = field(default_factory=list)

    def add(
        self, seen: Seen, steps: int, switched: int, schedule: Callable[[], list[Move]]
    ) -> None:
        """Count one schedule of so many ``steps`` and switches; ``schedule`` returns it."""
        self.walked += 1
        self.steps += steps
        self.undecided += seen.undecided
        self.doubted += bool(seen.doubt)
        self.doubt = self.doubt or seen.doubt
        key = repr((seen.final, seen.kinds))
        count = self.outcomes[key][2] if key in self.outcomes else 0
        self.outcomes[key] = (seen.final, seen.kinds, count + 1)
        moves: list[Move] | None = None
        for kind in seen.kinds:
            known = self.found.get(kind)
            if known is not None:
                known.schedules += 1
                if (seen.operations, switched, steps) >= known.size:
                    continue
            moves = schedule() if moves is None else moves
            times = 1 if known is None else known.schedules
            self.found[kind] = Found(kind, times, seen.operations, switched, moves)


class Shared:
    """The objects that one process changes and another touches."""

    def __init__(self, names: list[str]) -> None:
        self.names = set(names)
        self._known: set[tuple[int, Stand]] = set()
        self._covered: dict[Stand, bool] = {}
        self._touchers: dict[str, set[int]] = {}
        self._changers: dict[str, set[int]] = {}

    def note(self, trace: list[tuple[int, Stand]]) -> bool:
        """Learn from a schedule; returns whether there is a new object."""
        before = len(self.names)
        new = set(trace) - self._known
        if not new:
            return False
        self._known |= new
        for number, stand in new:
            for name in stand.changes:
                self._changers.setdefault(name, set()).add(number)
            for name in stand.changes | stand.reads:
                self._touchers.setdefault(name, set()).add(number)
        for name, changers in self._changers.items():
            if len(changers | self._touchers[name]) > 1:
                self.names.add(name)
        if len(self.names) > before:
            self._covered.clear()
        return len(self.names) > before

    def covers(self, stand: Stand) -> bool:
        """Whether a step touches any of them."""
        covered = self._covered.get(stand)
        if covered is None:
            covered = not self.names.isdisjoint(stand.changes | stand.reads)
            self._covered[stand] = covered
        return covered


class Walker:
    """Leads the processes through one schedule after another."""

    def __init__(self, stage: Stage, observer: Observer, shared: Shared) -> None:
        self.stage = stage
        self.observer = observer
        self.shared = shared
        # The stage stands at the beginning of a schedule as long as nobody has moved.
        self._fresh = True
        # Off while somebody looks at every step, or does not know yet what is shared.
        self.passes_freely = False

    def learn(self, goes_on: GoesOn) -> None:
        """Run the processes one after another, forwards and backwards, to see what they share.

        Raises ``Over`` when ``goes_on`` says no before that, and ``ProcessLost``.
        """
        for backwards in (False, True):
            self.begin()
            while enabled := self.stage.enabled():
                if not goes_on():
                    raise Over
                self.stage.go(enabled[-1 if backwards else 0])
            self.check()
            self.shared.note(self.stage.trace)
        self.passes_freely = True

    def skim(self) -> None:
        """Learn from the first steps of each process alone: some may work without end."""
        for number in range(len(self.stage.players)):
            self.begin()
            player = self.stage.players[number]
            for _ in range(ENOUGH):
                if not player.enabled or self.stage.interrupted():
                    break
                self.stage.go(number)
            self.shared.note(self.stage.trace)

    def check(self) -> None:
        """Raise ``ProcessLost`` when a process died or failed: what it did is no schedule."""
        if self.stage.unfinished():
            self.stage.stuck()
        if self.stage.lost:
            raise ProcessLost(self.stage.lost)

    def begin(self) -> None:
        """Put everything back to the beginning, and do what nobody else can see."""
        if not self._fresh:
            self.stage.restart(self._free)
        self._fresh = False

    def _free(self, stand: Stand) -> bool:
        return self.passes_freely and not self.shared.covers(stand)

    def walk(self, strategy: Strategy, result: Walk, goes_on: GoesOn) -> bool:
        """Walk until the strategy has nothing left (True) or ``goes_on`` says no.

        Raises ``NewlyShared`` when a schedule showed an object that was not known to be shared, and
        ``ProcessLost`` when a process died or failed in one.
        """
        started = time.monotonic() - result.seconds
        try:
            while strategy.begin():
                if self._schedule(strategy, goes_on):
                    self.check()
                    if self.shared.note(self.stage.trace):
                        raise NewlyShared
                    switched = _switched(self.stage, self.shared)
                    steps = len(self.stage.trace)
                    whole = partial(moves, self.stage, self.shared)
                    result.add(self.observer.look(), steps, switched, whole)
                strategy.ended()
                result.seconds = time.monotonic() - started
        except Over:
            return False
        result.complete = strategy.complete
        return True

    def _schedule(self, strategy: Strategy, goes_on: GoesOn) -> bool:
        """Follow one schedule; False when the strategy leaves it before its end.

        Raises ``Over`` when ``goes_on`` says no, in the middle too: some schedules have no end.
        """
        stage = self.stage
        if not goes_on():
            raise Over
        self.begin()
        self._settle(goes_on)
        last: int | None = None
        while True:
            stands = [player.stand for player in stage.players]
            enabled = stage.enabled()
            chosen = strategy.choose(State(stands, enabled, last))
            if chosen is None:
                return not enabled
            if chosen not in enabled:
                raise StoredRunError(
                    "the stored exploration does not fit: its processes go another way now",
                    "begin a new one, without --resume",
                )
            # A step takes microseconds: the budget is looked at now and then.
            if not len(stage.trace) % 16 and not goes_on():
                raise Over
            stage.go(chosen)
            last = chosen
            self._settle(goes_on)

    def _settle(self, goes_on: GoesOn) -> None:
        """Pass every step that no other process can see."""
        stage, shared = self.stage, self.shared
        covered = shared.covers
        for number, player in enumerate(stage.players):
            while player.ready and (stand := player.stand) is not None and not covered(stand):
                if not goes_on():
                    raise Over
                stage.go(number)


class Over(Exception):
    """The budget is spent, or the user wants to stop: the schedule begun does not count."""


class NewlyShared(Exception):
    """A schedule showed an object that was not known to be shared: the walk begins again."""


def moves(stage: Stage, shared: Shared) -> list[Move]:
    """Return the schedule that has just been followed, with as few switches as it allows.

    What a process did before its first step that others see, or that can wait for others, is put
    right before that step: nobody saw it. Who came to no such step is put first: its end may be
    what others wait for.
    """
    opening: dict[int, list[Move]] = {}
    order: list[Move] = []
    begun: set[int] = set()
    for number, stand in stage.trace:
        move = Move(stage.players[number].name, stand.step)
        seen = _seen(stand, shared)
        if number not in begun and not seen:
            opening.setdefault(number, []).append(move)
            continue
        if number not in begun:
            begun.add(number)
            order += opening.pop(number, [])
        order.append(move)
    return [*(move for number in sorted(opening) for move in opening[number]), *order]


def _seen(stand: Stand, shared: Shared) -> bool:
    # A lock that nobody else takes is free whenever it is wanted; a message may have to be awaited.
    waits = stand.blocks and not stand.takes
    return waits or stand.step in (STOP, LEAVE) or shared.covers(stand)


def _switched(stage: Stage, shared: Shared) -> int:
    """Return how many switches :func:`moves` will have; most schedules need no more than that."""
    count, last, begun, silent = 0, -1, set[int](), set[int]()
    for number, stand in stage.trace:
        if number not in begun:
            if not _seen(stand, shared):
                silent.add(number)
                continue
            begun.add(number)
        count += number != last
        last = number
    return count + len(silent - begun) - 1


def plain(result: Walk) -> dict[str, Any]:
    """Return a walk as plain data, to be stored."""
    return {
        "walked": result.walked,
        "steps": result.steps,
        "seconds": result.seconds,
        "complete": result.complete,
        "undecided": result.undecided,
        "doubted": result.doubted,
        "doubt": result.doubt,
        "shared": result.shared,
        "outcomes": [[final, list(kinds), n] for final, kinds, n in result.outcomes.values()],
        "found": [
            [f.kind, f.schedules, f.operations, f.switches, [list(m) for m in f.moves]]
            for f in result.found.values()
        ],
    }


def from_plain(stored: dict[str, Any]) -> Walk:
    """Return the walk that was stored."""
    names = ("walked", "steps", "seconds", "complete", "undecided", "shared")
    result = Walk(**{name: stored[name] for name in names})
    # A walk that was stored before these were counted has none.
    result.doubted, result.doubt = stored.get("doubted", 0), stored.get("doubt", "")
    for final, kinds, count in stored["outcomes"]:
        result.outcomes[repr((final, tuple(kinds)))] = (final, tuple(kinds), count)
    for kind, schedules, operations, switched, order in stored["found"]:
        found = Found(kind, schedules, operations, switched, [Move(*move) for move in order])
        result.found[kind] = found
    return result
