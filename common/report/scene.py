"""Which operations belong to a finding, and what are their steps? The parts of a story."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from common.history.case import Case
from common.history.merge import Positions
from common.history.operations import Effect
from common.report.locking import waiting, with_lock
from common.report.moments import Moments
from common.report.order import Step

# A table with more operations, or more columns, is no longer read.
OPERATIONS, PROCESSES = 12, 5

OPENING, UNKNOWN = -1, -2


@dataclass
class Scene:
    """Steps of operations; ``witnesses`` are positions, ``left_out`` operations were too many.

    ``values`` holds for a variable its opening value and everything that was written to it,
    ``writers`` the positions of those writes. ``waited`` says that it is about a wait: whoever came
    meanwhile belongs to it.
    """

    case: Case
    witnesses: list[int]
    waited: bool = False
    steps: list[Step] = field(default_factory=list)
    pairs: list[tuple[Step, Step]] = field(default_factory=list)
    left_out: int = 0
    values: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    writers: dict[str, Positions] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.moments = Moments(self.case)

    def written(
        self, variable: str, effects: Sequence[Effect], number: int, cell: str, opening: float
    ) -> None:
        """Collect what was written to a variable of the row or channel ``number``."""
        history = self.case.history
        flying = history.select(*effects, done=False)
        # Nobody knows what an operation wrote that was cut off: then no value names its writer.
        if not (history.objects[flying] == number).any():
            done = history.select(*effects)
            done = done[history.objects[done] == number]
            self.values[variable] = np.append(opening, history.gather(cell, done))
            self.writers[variable] = done

    def sources(self) -> list[tuple[Step | None, Step]]:
        """Pair each read of a value that was written only once with the write; None: opening."""
        found: list[tuple[Step | None, Step]] = []
        writes = {(step.position, step.variable): step for step in self.steps if step.writes}
        for step in self.steps:
            writer = self._writer(step)
            if writer == OPENING:
                found.append((None, step))
            elif (writer, step.variable) in writes:
                found.append((writes[writer, step.variable], step))
        return found

    def offstage(self) -> list[int]:
        """Return the operations that are not told of, but wrote what one of the steps read."""
        writers = {self._writer(step) for step in self.steps} - {UNKNOWN, OPENING}
        return sorted(writers - {step.position for step in self.steps})

    def _writer(self, step: Step) -> int:
        """Return who alone can have written what a step read; OPENING, or UNKNOWN."""
        values = self.values.get(step.variable or "", np.empty(0))
        same = np.flatnonzero(values == step.value)
        if step.writes or len(same) != 1 or step.variable is None:
            return UNKNOWN
        return int(self.writers[step.variable][same[0] - 1]) if same[0] else OPENING

    def around(self, same: Positions) -> list[int]:
        """Return those of ``same`` that overlap the witnesses or lie between, nearest first.

        The witnesses count from when they entered, or asked if it is about a wait.
        """
        history = self.case.history
        # What was cut off has no end, and perhaps no beginning.
        frames = [found for at in self.witnesses if (found := history.record(at))["left"]]
        if not frames:
            return []
        ends = np.array([found["left"] for found in frames])
        start = min(found["asked" if self.waited else "entered"] for found in frames)
        entered, left = (history.gather(stamp, same) for stamp in ("entered", "left"))
        inside = (entered <= ends.max()) & (left >= start)
        same, left = same[inside], left[inside]
        far = np.min(np.abs(left[:, None] - ends), axis=1)
        # Whoever handled a value that the witnesses handled belongs to their story.
        handled = [found[cell] for found in frames for cell in ("v3", "v4")]
        kin = np.isin(history.gather("v3", same), handled)
        kin |= np.isin(history.gather("v4", same), handled)
        nearest: list[int] = same[np.lexsort((far, ~kin))].tolist()
        return nearest

    def choose(self, candidates: Sequence[int]) -> list[int]:
        """Return the witnesses and as many candidates as a table holds, in the history's order."""
        wanted = list(dict.fromkeys([*self.witnesses, *candidates]))
        chosen: list[int] = []
        columns: set[str] = set()
        for position in wanted:
            name = self.case.process(position)
            if len(chosen) < OPERATIONS and (name in columns or len(columns) < PROCESSES):
                chosen.append(position)
                columns.add(name)
        self.left_out = len(wanted) - len(chosen)
        return sorted(chosen)

    def add(self, position: int, goal: str, accesses: list[Step]) -> None:
        """Add an operation; going in (for ``goal``) and out is shown for a witness only.

        That it had to wait for somebody is shown in any case.
        """
        if self.case.history.in_flight[position]:
            accesses = [Step(position, "ends", "is cut off: what it did was not recorded")]
        self.moments.settle(position, accesses)
        frame = self.stamps(position, goal if position in self.witnesses else "")
        steps = [*frame[:-1], *accesses, *frame[-1:]]
        locks = self.moments.locks(position) if position in self.witnesses else []
        if locks and all(step.at is not None for step in steps):
            steps = sorted([*steps, *locks], key=lambda step: step.at or 0)
        self.chain(steps)

    def stamps(self, position: int, goal: str) -> list[Step]:
        """Return the steps that have a time: asking (if one had to), going in, going out.

        They are shown when there is a ``goal`` to go in for; the first two also where others are
        known to have been inside meanwhile.
        """
        found, gate = self.case.history.record(position), self.case.outcome.gate_ns
        asked, entered, left = (
            found[stamp] - gate if found[stamp] else None for stamp in ("asked", "entered", "left")
        )
        asks, waited = waiting(self.case, position)
        steps = [
            Step(position, "asks", asks, asked),
            Step(position, "enters", "enters" + with_lock(self.case, position), entered),
            Step(position, "leaves", "leaves", left),
        ]
        # Whoever comes to a channel waits for room or for a message: no lock was asked for yet.
        channel = self.case.history.operation(position).place == "channel"
        if (asks or channel) and found["entered"] > found["asked"] > 0:
            microseconds = (found["entered"] - found["asked"]) / 1000
            steps[1].text += f" after {microseconds:,.1f} µs"
        steps[1].text += f": {goal}" if goal else ""
        for step, shown in zip(steps, (goal or waited, goal or waited, goal), strict=True):
            step.shown = bool(shown) and step.at is not None
        steps[0].shown &= bool(asks)
        return steps

    def chain(self, steps: Sequence[Step]) -> None:
        """Add steps that followed one another."""
        self.steps += steps
        self.pairs += pairwise(steps)

    def perform(self, chosen: Sequence[int], act: Callable[[Scene, int], None]) -> None:
        """Let the chosen operations act; whoever wrote what they read acts unseen.

        The operations of one process, which do not nest, follow one another.
        """
        for position in chosen:
            act(self, position)
        seen = len(self.steps)
        for position in self.offstage():
            act(self, position)
        for step in self.steps[seen:]:
            step.shown = False
        self._in_turn()

    def _in_turn(self) -> None:
        steps: dict[str, list[Step]] = {}
        for step in sorted(self.steps, key=lambda step: step.position):
            steps.setdefault(self.case.process(step.position), []).append(step)
        for own in steps.values():
            self.pairs += pairwise(own)
