"""Linearizability by its definition: every order of a few operations is tried. Slow and plain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import permutations
from typing import Any, NamedTuple


class Done(NamedTuple):
    """One operation: its process, from when to when, and what it did."""

    process: int
    begin: int
    end: int
    act: Any


# Replays acts one by one; returns whether each of them could happen just so.
Replay = Callable[[Sequence[Any]], bool]


def linearizable(history: Sequence[Done], replay: Replay) -> bool:
    """Tell whether one of all the orders that time allows is right."""
    return any(replay([each.act for each in order]) for order in _orders(history))


def longest(history: Sequence[Done], replay: Replay) -> int:
    """Return how many operations the longest right beginning has."""
    return max(
        count
        for count in range(len(history) + 1)
        for order in _orders(history)
        if count == 0 or replay([each.act for each in order[:count]])
    )


def _orders(history: Sequence[Done]) -> Iterator[tuple[Done, ...]]:
    for order in permutations(range(len(history))):
        if all(
            not _precedes(history[late], history[early], late, early)
            for at, early in enumerate(order)
            for late in order[at + 1 :]
        ):
            yield tuple(history[at] for at in order)


def _precedes(one: Done, other: Done, at: int, other_at: int) -> bool:
    """Tell whether ``one`` came first for certain: by the clock, or in the same process."""
    return one.end < other.begin or (one.process == other.process and at < other_at)


def stock(opening: float, acts: Sequence[tuple[str, float, float]]) -> bool:
    """Replay updates (amount, read), looks (-, seen) and refusals (amount, seen) of one stock."""
    present = opening
    for what, amount, seen in acts:
        if seen != present:
            return False
        if what == "update":
            if amount < 0 and present < -amount:
                return False
            present += amount
        elif what == "refusal" and present >= amount:
            return False
    return True


def queue(acts: Sequence[tuple[str, int, int]]) -> bool:
    """Replay puts and takes of (job, priority): the oldest of the most urgent is the next."""
    waiting: list[tuple[int, int]] = []
    for what, job, priority in acts:
        if what == "put":
            waiting.append((job, priority))
        else:
            if not waiting:
                return False
            urgent = max(level for _, level in waiting)
            first = next(each for each in waiting if each[1] == urgent)
            if first[0] != job:
                return False
            waiting.remove(first)
    return True
