"""Which part of a run is shown? A span of time: all of it, its beginning, or around a finding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.errors import UsageError
from common.history.case import Case
from common.verdict.finding import Finding


@dataclass(frozen=True)
class Window:
    """From ``start`` to ``end``, both included, ns since the gate; ``whole``: nothing left out."""

    start: int
    end: int
    whole: bool = False


def everything(case: Case) -> Window:
    """Return the whole run."""
    return Window(0, max(1, case.outcome.ended_ns - case.outcome.gate_ns), whole=True)


def beginning(case: Case, count: int) -> Window:
    """Return the time in which the first ``count`` operations were asked for."""
    asked = case.history.column("asked")
    asked = asked[asked > 0]
    if count >= len(asked):
        return everything(case)
    last = int(np.partition(asked, count - 1)[count - 1])
    return Window(0, last - case.outcome.gate_ns)


def around(findings: list[Finding], number: int, margin: int) -> Window:
    """Return the time of the worst case of finding ``number`` (from 1), ``margin`` ns on each side.

    Raises ``UsageError`` when there is no such finding, or none of its operations is known.
    """
    if not 1 <= number <= len(findings):
        kinds = ", ".join(f"{at} {each.kind}" for at, each in enumerate(findings, start=1))
        raise UsageError(
            f"there is no finding {number}",
            f"the run has: {kinds}" if kinds else "nothing was found",
        )
    finding = findings[number - 1]
    stamps = [
        stamp
        for each in finding.worst.witnesses
        for stamp in (each.asked_ns, each.entered_ns, each.left_ns)
        # A stamp that was never taken is 0, or the gate's distance from 0.
        if stamp > 0
    ]
    if not stamps:
        raise UsageError(
            f"finding {number}, {finding.kind}, names no moment of the run",
            "leave --around out for all of it",
        )
    return Window(max(0, min(stamps) - margin), max(stamps) + margin)
