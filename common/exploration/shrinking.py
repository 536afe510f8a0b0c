"""Makes a schedule that does harm shorter: fewer operations first, then fewer switches.

Each candidate is tried on the real processes; what stays is the shortest that still does the same
harm. A process is made to do less by ending its work before an operation (``stop``), as when it is
told to finish.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import groupby

from common.exploration.walking import Found, Walker, moves
from common.process.stage import Stage, switches

# What one finding may cost.
ATTEMPTS = 400

# The order in which processes pass steps that others can see.
Order = list[int]


def shrink(walker: Walker, found: Found, begins: Mapping[int, str], seconds: float) -> Found:
    """Return the shortest schedule found for the same kind of harm.

    ``begins`` names for each process the step before which it can be stopped; those that it does
    not name do all their work. After so many ``seconds`` it is left as it is.
    """
    return _Shrinking(walker, found, begins, seconds).result()


class _Shrinking:
    def __init__(
        self, walker: Walker, found: Found, begins: Mapping[int, str], seconds: float
    ) -> None:
        self.walker = walker
        self.begins = begins
        self.best = found
        self.limits: dict[int, int] = {}
        numbers = {player.name: n for n, player in enumerate(walker.stage.players)}
        self.order = [numbers[move.process] for move in found.moves]
        self.attempts = 0
        self.until = time.monotonic() + seconds

    def result(self) -> Found:
        """Shrink until nothing gets shorter."""
        self._fewer_operations()
        self._fewer_switches()
        return self.best

    def _fewer_operations(self) -> None:
        counts = {number: self._operations(number) for number in self.begins}
        for number in sorted(counts, key=lambda each: -counts[each]):
            for limit in _less_than(counts[number]):
                if self._try(self.order, {**self.limits, number: limit}):
                    break

    def _operations(self, number: int) -> int:
        name = self.walker.stage.players[number].name
        mine = [move.step for move in self.best.moves if move.process == name]
        return sum(_at_boundary(before, step, self.begins[number]) for before, step in _pairs(mine))

    def _fewer_switches(self) -> None:
        shorter = True
        while shorter and self._may():
            shorter = False
            blocks = [list(block) for _, block in groupby(self.order)]
            for at in range(len(blocks)):
                later = next(
                    (n for n in range(at + 2, len(blocks)) if blocks[n][0] == blocks[at][0]), None
                )
                if later is None:
                    continue
                rest = [*blocks[at + 1 : later], *blocks[later + 1 :]]
                merged = [*blocks[:at], blocks[at] + blocks[later], *rest]
                if self._try([n for block in merged for n in block], self.limits):
                    shorter = True
                    break

    def _may(self) -> bool:
        """Whether there is time for another attempt, and for the rest of this one."""
        return time.monotonic() < self.until and not self.walker.stage.interrupted()

    def _try(self, order: Order, limits: dict[int, int]) -> bool:
        """Follow a candidate; keep it when it does the same harm and is shorter."""
        if self.attempts >= ATTEMPTS or not self._may():
            return False
        self.attempts += 1
        walker, stage = self.walker, self.walker.stage
        self._follow(stage, order, limits)
        if not self._may():
            # It may have been cut short.
            return False
        walker.check()
        seen = walker.observer.look()
        if self.best.kind not in seen.kinds:
            return False
        done = moves(stage, walker.shared)
        this = Found(
            self.best.kind,
            self.best.schedules,
            seen.operations,
            switches(move.process for move in done),
            done,
        )
        if this.size >= self.best.size:
            return False
        numbers = {player.name: n for n, player in enumerate(stage.players)}
        self.best, self.limits = this, limits
        self.order = [numbers[move.process] for move in done]
        return True

    def _follow(self, stage: Stage, order: Order, limits: Mapping[int, int]) -> None:
        done = dict.fromkeys(range(len(stage.players)), 0)
        before: dict[int, str | None] = dict.fromkeys(done)
        self.walker.begin()
        for number in order:
            if stage.players[number].enabled and self._may():
                self._go(stage, number, limits, done, before)
        while stage.enabled() and self._may():
            self._go(stage, stage.enabled()[0], limits, done, before)

    def _go(
        self,
        stage: Stage,
        number: int,
        limits: Mapping[int, int],
        done: dict[int, int],
        before: dict[int, str | None],
    ) -> None:
        stand = stage.players[number].stand
        assert stand is not None
        begins = self.begins.get(number, "")
        if stand.begins and _at_boundary(before[number], stand.step, begins):
            if done[number] >= limits.get(number, done[number] + 1):
                stage.stop(number)
                return
            done[number] += 1
        before[number] = stand.step
        stage.go(number)


def _less_than(count: int) -> list[int]:
    """Return the numbers of operations to try, the least first; not all of many."""
    return sorted({n for n in (0, 1, 2, 3, count // 4, count // 2, count - 1) if 0 <= n < count})


def _pairs(steps: list[str]) -> list[tuple[str | None, str]]:
    return list(zip([None, *steps], steps, strict=False))


def _at_boundary(before: str | None, step: str, begins: str) -> bool:
    # Who has checked or read, or has a first lock, is in the middle of an operation.
    return step == begins and before not in ("acquire", "check", "read")
