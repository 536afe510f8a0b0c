"""What a page is about: a stored run, judged anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.history import store
from common.history.case import Case
from common.report import remarks
from common.report.document import run_document
from common.system import System, operations_of
from common.verdict.finding import Finding, Verdict, Witness
from common.verdict.judge import judge

CASES = ("first", "worst", "last")


@dataclass(frozen=True)
class Subject:
    """A run: its records, its verdict, and the document that ``run --json`` prints of it.

    ``end_ns`` is when the last operation of any process ended, since the gate.
    """

    case: Case
    verdict: Verdict
    document: dict[str, Any]
    end_ns: int

    def position(self, witness: Witness) -> int:
        """Return where in the history a witness stands."""
        names = [process.name for process in self.case.history.processes]
        return self.case.history.bounds[names.index(witness.process)] + witness.seq - 1


def load(run_dir: Path, systems: Mapping[str, System]) -> Subject:
    """Read a stored run and judge it; raises ``StoredRunError``."""
    case = store.load_case(run_dir, operations_of(list(systems.values())))
    verdict = judge(case)
    told = remarks.of_run(case, systems)
    document = run_document(case.plan, case.outcome, verdict, run_dir, told)
    lasts = [float(each.records["left"].max(initial=0.0)) for each in case.history.processes]
    end = max(round(max(lasts, default=0.0) * 1e9) - case.outcome.gate_ns, 1)
    return Subject(case, verdict, document, end)


def chosen(finding: Finding) -> list[str]:
    """Return which of a finding's cases differ: the worst is told first."""
    told: dict[str, str] = {}
    for which in ("worst", "first", "last"):
        told.setdefault(str(getattr(finding, which)), which)
    return list(told.values())
