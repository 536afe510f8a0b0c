"""In which order did the processes of a run under a schedule pass their steps? As it is stored.

A line a step: when it was let go (ns since the gate), whose it is, its name, and which lock it
takes or gives: ``81250 east-0 acquire takes the lock of DOLLAR``. Nothing else runs until the next
step, so what a process did meanwhile lies between the two times.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NamedTuple

from common.errors import StoredRunError

# Steps that are kept of a run, the first ones: a megabyte of lines.
MOST = 20_000

TAKES, GIVES = "takes", "gives"


class Passed(NamedTuple):
    """A step that a process was let go at; ``takes`` and ``gives`` name a lock, or nothing."""

    at: int
    process: str
    step: str
    takes: str = ""
    gives: str = ""


def written(steps: Iterable[Passed]) -> list[str]:
    """Return the lines of ``steps``, of the first ``MOST`` at most."""
    return [_line(step) for step in islice(steps, MOST)]


def read(lines: Sequence[str]) -> list[Passed]:
    """Return the steps that ``lines`` tell; raises ``StoredRunError`` for anything else."""
    return [_step(number, line) for number, line in enumerate(lines)]


def complete(steps: Sequence[Passed]) -> bool:
    """Return whether all steps of the run were kept."""
    return len(steps) < MOST


def _line(step: Passed) -> str:
    lock = f" {TAKES} {step.takes}" if step.takes else f" {GIVES} {step.gives}" * bool(step.gives)
    return f"{step.at} {step.process} {step.step}{lock}"


def _step(number: int, line: str) -> Passed:
    at, *words = line.split(" ", 4)
    if at.isdecimal() and len(words) in (2, 4):
        process, step, *lock = words
        if not lock:
            return Passed(int(at), process, step)
        if lock[0] in (TAKES, GIVES):
            return Passed(int(at), process, step, **{lock[0]: lock[1]})
    raise StoredRunError(
        f"outcome.json: trace[{number}] is not a step: {line[:60]!r}",
        "a step is: nanoseconds process step [takes|gives lock]",
    )
