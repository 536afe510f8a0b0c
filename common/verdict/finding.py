"""Findings and the verdict they make."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

KINDS = (
    "lost_update",
    "negative_stock",
    "torn_read",
    "job_lost",
    "job_duplicated",
    "job_corrupted",
    "job_reordered",
    "pages_interleaved",
    "deadlock",
    "starvation",
    "data_race",
    "process_crashed",
    "process_hung",
    "object_vanished",
    "leak",
)

# These say that the run itself failed, whatever the data look like (exit status 4).
FAILURES = ("process_crashed", "process_hung", "object_vanished", "leak")


@dataclass(frozen=True)
class Witness:
    """One operation as evidence: who, what, when (ns since the gate opened), and its values."""

    process: str
    operation: str
    object: str
    seq: int
    item: int
    asked_ns: int
    entered_ns: int
    left_ns: int
    values: dict[str, float]


@dataclass(frozen=True)
class Instance:
    """One occurrence of a finding: the operations that prove it, and what it cost."""

    amount: float
    sentence: str
    witnesses: list[Witness] = field(default_factory=list)


@dataclass(frozen=True)
class Finding:
    """One violated property: how often, what it cost in all, and its first, worst and last case.

    ``total`` is the sum of the amounts of all instances (units of money for a lost update, else
    the count). ``explanation`` is the sentence for people.
    """

    kind: str
    count: int
    total: float
    first: Instance
    worst: Instance
    last: Instance
    explanation: str


@dataclass
class Verdict:
    """What a run means: ``valid``, ``anomaly`` or ``undecided``, with the reasons.

    ``doubts`` are the reasons why a run without findings proves nothing; ``measures`` holds the
    figures of :mod:`common.history.measure`. ``contradictions`` are those of the doubts that come
    of the records themselves, not of what was never put to the test.
    """

    verdict: str
    findings: list[Finding]
    doubts: list[str]
    measures: dict[str, Any]
    contradictions: list[str] = field(default_factory=list)
