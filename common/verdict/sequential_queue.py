"""What does a queue of jobs do? The sequential specification of a channel.

See :mod:`common.verdict.sequential`. Bodies count too: what is taken must be what was put there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from common.verdict.sequential import NEVER


class Job(NamedTuple):
    """A job by its name, the checksum declared, and the checksum of its body."""

    item: int
    declared: float
    body: float


@dataclass(frozen=True, eq=False, slots=True)
class Put:
    """A job was put in the line of its priority at some moment from ``begin`` to ``end`` (ns).

    It equals only itself: the same job may have been put there twice. An end of NEVER says that it
    may not be there at all, so that nobody has to wait for it. What one ``sender`` put there came
    in the order of its turns, whatever the stamps.
    """

    level: int
    job: Job
    begin: int
    end: int
    sender: int = -1
    turn: int = 0


class Take(NamedTuple):
    """The next job was taken."""

    job: Job


class Grab(NamedTuple):
    """The next job was taken by a process that died; ``item`` is 0 if nobody wrote down which."""

    item: int


Lines = tuple[frozenset[Put], ...]


class Queue:
    """A queue of jobs: first in, first out, the most urgent line first. It is never full.

    Jobs that were put at overlapping times stand in either order until one of them is taken. To
    decide earlier would be to try every order of them. That it finds the same is a theorem for jobs
    with names of their own (Henzinger, Sezgin and Vafeiadis, Aspect-Oriented Linearizability
    Proofs, 2013). ``drained`` says that it was seen empty at the end; ``called`` names a job;
    ``perhaps`` are jobs that may have been put there and that no record tells of.
    """

    def __init__(
        self,
        levels: int,
        drained: bool,
        called: Callable[[int], str],
        perhaps: Sequence[Put] = (),
    ) -> None:
        self.opening: Lines = tuple(
            frozenset(put for put in perhaps if put.level == level) for level in range(levels)
        )
        self.drained = drained
        self.called = called

    def after(self, state: Lines, act: Any) -> Iterable[Lines]:
        """Return the lines as they stand then."""
        if isinstance(act, Put):
            return (_with(state, act.level, state[act.level] | {act}),)
        return [
            _with(state, level, state[level] - {put})
            for level in _open(state)
            for put in state[level]
            if _wanted(put, act) and not _earlier(state[level], put)
        ]

    def may_end(self, state: Lines) -> bool:
        """Tell whether nothing is left where nothing may be."""
        return not self.drained or not any(state)

    def objection(self, state: Lines, act: Any) -> str:
        """Say which job should have been taken."""
        took = "" if act is None else f"it took {self.called(act.job.item)}"
        levels = _open(state)
        line = state[levels[-1]] if levels else frozenset()
        if not line:
            return f"{took} where nothing was left"
        head = self.called(min(line, key=lambda put: (put.end, put.begin)).job.item)
        if act is None:
            return f"{head} was put there, and nobody took it"
        for put in line:
            if put.job.item == act.job.item and put.job != act.job:
                return f"{took}, and not as it had been put there"
        return f"{took} where {head} was the next"


def _wanted(put: Put, act: Any) -> bool:
    return put.job == act.job if isinstance(act, Take) else act.item in (0, put.job.item)


def _earlier(line: frozenset[Put], job: Put) -> bool:
    """Tell whether another job in the line was put there before ``job``, for certain."""
    return any(
        put.end < job.begin or (put.sender == job.sender and put.turn < job.turn)
        for put in line
        if put.end != NEVER
    )


def _open(state: Lines) -> list[int]:
    """Return the lines from which the next job may come: down to the first that surely has one."""
    found = []
    for level in reversed(range(len(state))):
        found.append(level)
        if any(put.end != NEVER for put in state[level]):
            break
    return found


def _with(state: Lines, level: int, line: frozenset[Put]) -> Lines:
    return (*state[:level], line, *state[level + 1 :])
