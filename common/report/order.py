"""In which order did a few operations take their steps? As far as stamps and values tell.

A stamp is a point in time; an access lies somewhere between the stamps that frame it. What one
process read tells more: whose write it saw came before, and no other write came in between. The
rest is open, and stays open: a row is *in order* only if it came after the row above it for
certain.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any


@dataclass(eq=False)
class Step:
    """One step of an operation: a stamp (``at``, ns since the gate), or an access.

    An access has a time of its own only where the run followed a schedule; ``mark`` is the name
    that a schedule knows it by.

    ``variable`` is what an access reads or ``writes``, and ``value`` what it saw there or put
    there. A ``late`` access is drawn near the end of its bounds: nothing follows from that.
    A step that is not ``shown`` only bounds others.
    """

    position: int
    action: str
    text: str
    at: int | None = None
    variable: str | None = None
    value: float | None = None
    writes: bool = False
    late: bool = False
    shown: bool = True
    line: int | None = None
    mark: str = ""


@dataclass(frozen=True)
class Placed:
    """A step in its place: not before ``earliest``, not after ``latest`` (None: unknown)."""

    step: Step
    earliest: int | None
    latest: int | None
    in_order: bool

    def row(self, process: str, operation: str, seq: int | None) -> dict[str, Any]:
        """Return it as a row of a story, JSON-able; ``seq`` is None where no record tells of it."""
        return {
            "process": process,
            "operation": operation,
            "seq": seq,
            "step": self.step.action,
            "text": self.step.text,
            "value": self.step.value,
            "at_ns": self.step.at,
            "from_ns": self.earliest,
            "to_ns": self.latest,
            "line": self.step.line,
            "in_order": self.in_order,
        }


Pairs = Iterable[tuple[Step, Step]]
Sources = Iterable[tuple[Step | None, Step]]


def arrange(steps: Sequence[Step], pairs: Pairs, sources: Sources) -> list[Placed]:
    """Return the shown ``steps`` in one order that stamps and values allow.

    ``pairs`` are steps of which the first came before the second; ``sources`` pair each read
    whose value only one write can explain with that write, None for the opening value. Values
    that contradict the stamps (another program writes there) are left aside.
    """
    number = {step: at for at, step in enumerate(steps)}
    known = [(number[a], number[b]) for a, b in pairs]
    seen = [(None if a is None else number[a], number[b]) for a, b in sources]
    before = _before(steps, known, seen)
    if before is None:
        seen = []
        before = _before(steps, known, seen) or [0] * len(steps)
    earliest, latest = _bounds(steps, before)
    order = [at for at in _line_up(steps, before, seen, earliest, latest) if steps[at].shown]
    follows = [True, *(bool(before[b] >> a & 1) for a, b in pairwise(order))]
    return [
        Placed(steps[at], earliest[at], latest[at], follow)
        for at, follow in zip(order, follows, strict=False)
    ]


def _before(
    steps: Sequence[Step], known: list[tuple[int, int]], seen: list[tuple[int | None, int]]
) -> list[int] | None:
    """Return for each step those before it, as bits; None when the facts contradict each other."""
    before = [0] * len(steps)
    for first, second in known:
        before[second] |= 1 << first
    stamps = [(step.at, n) for n, step in enumerate(steps) if step.at is not None]
    for at, n in stamps:
        # Equal stamps say nothing.
        before[n] |= sum(1 << other for earlier, other in stamps if earlier < at)
    if not _close(before):
        return None
    writes = [n for n, step in enumerate(steps) if step.writes]
    while True:
        more = list(before)
        for source, reader in seen:
            if source is not None:
                more[reader] |= 1 << source
            for write in writes:
                if write == source or steps[write].variable != steps[reader].variable:
                    continue
                if source is None or before[write] >> source & 1:
                    more[write] |= 1 << reader
                elif before[reader] >> write & 1:
                    more[source] |= 1 << write
        if not _close(more):
            return None
        if more == before:
            return before
        before = more


def _close(before: list[int]) -> bool:
    """Add what follows from what is known; returns whether nothing comes before itself."""
    for middle in range(len(before)):
        for n in range(len(before)):
            if before[n] >> middle & 1:
                before[n] |= before[middle]
    return not any(mask >> n & 1 for n, mask in enumerate(before))


def _bounds(steps: Sequence[Step], before: list[int]) -> tuple[list[int | None], list[int | None]]:
    earliest: list[int | None] = [step.at for step in steps]
    latest = list(earliest)
    stamps = [(step.at, n) for n, step in enumerate(steps) if step.at is not None]
    for n, step in enumerate(steps):
        if step.at is None:
            earliest[n] = max((at for at, m in stamps if before[n] >> m & 1), default=None)
            latest[n] = min((at for at, m in stamps if before[m] >> n & 1), default=None)
    return earliest, latest


def _line_up(
    steps: Sequence[Step],
    before: list[int],
    seen: list[tuple[int | None, int]],
    earliest: list[int | None],
    latest: list[int | None],
) -> Iterator[int]:
    """Yield the steps one by one, so that each read follows the write that it saw."""
    done = 0
    current: dict[str | None, int] = {}

    def when(n: int) -> tuple[float, int]:
        at = latest[n] if steps[n].late else earliest[n]
        return (float("inf") if steps[n].late else float("-inf")) if at is None else at, n

    def spoils(n: int) -> bool:
        # Somebody has yet to read what this would write over.
        last = current.get(steps[n].variable) if steps[n].writes else None
        return last is not None and any(
            source == last and not done >> reader & 1 for source, reader in seen
        )

    while done.bit_count() < len(steps):
        ready = [n for n in range(len(steps)) if not done >> n & 1 and not before[n] & ~done]
        chosen = min([n for n in ready if not spoils(n)] or ready, key=when)
        done |= 1 << chosen
        if steps[chosen].writes:
            current[steps[chosen].variable] = chosen
        yield chosen
