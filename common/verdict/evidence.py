"""How does a property show what it found? Its result, and records quoted as witnesses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from common.history.case import Case
from common.verdict.finding import Finding, Instance, Witness


@dataclass
class Result:
    """What one property found: findings, reasons for doubt, and figures for the verdict."""

    findings: list[Finding] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    measures: dict[str, Any] = field(default_factory=dict)


def witness(case: Case, position: int) -> Witness:
    """Return a record as evidence, its times relative to the gate."""
    found = case.history.record(position)
    gate = case.outcome.gate_ns
    operation = case.history.operation(position)
    values = {
        name: found[f"v{number}"]
        for number, name in enumerate(operation.values)
        if name and (found["left"] or number == 0)
    }
    return Witness(
        process=case.process(position),
        operation=operation.name,
        object=case.place(position),
        seq=found["seq"],
        item=found["item"],
        asked_ns=found["asked"] - gate,
        entered_ns=found["entered"] - gate,
        left_ns=found["left"] - gate if found["left"] else 0,
        values=values,
    )


def instance(case: Case, amount: float, sentence: str, *positions: int | None) -> Instance:
    """Return one occurrence of a finding, with the records at ``positions`` as its witnesses."""
    given = [position for position in positions if position is not None]
    return Instance(amount, sentence, [witness(case, position) for position in given])


def finding(
    kind: str, count: int, total: float, cases: Sequence[Instance], lead: str = ""
) -> Finding:
    """Return a finding from its first, worst and last case; ``lead`` opens its explanation."""
    first, worst, last = cases
    # The worst is told, unless it takes more operations to explain than the first.
    told = first if len(first.witnesses) < len(worst.witnesses) else worst
    explanation = f"{lead} {told.sentence}".strip()
    return Finding(kind, count, total, first, worst, last, explanation)
