"""The documents that ``--json`` prints and the run directory keeps: plain dicts, JSON-able."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from common.history.outcome import Outcome
from common.report.recovered import recovered
from common.scenario.faults import HARMLESS, FaultPlan
from common.scenario.plan import Expect, Plan
from common.verdict.finding import FAILURES, Verdict
from common.verdict.wording import many

FAILED, UNDECIDED, BROKEN = 1, 3, 4


def run_document(
    plan: Plan, outcome: Outcome, verdict: Verdict, run_dir: Path, remarks: list[str]
) -> dict[str, Any]:
    """Return the document of one run (DESIGN's ``run --json``, and what else is known)."""
    measures = verdict.measures
    names = plan.table.names if plan.table else []
    return {
        "scenario": plan.scenario,
        "variant": plan.variant,
        "seed": plan.seed,
        "run_dir": str(run_dir),
        "verdict": verdict.verdict,
        "expected": asdict(plan.expect),
        "as_expected": as_expected(plan.expect, verdict),
        "overlaps": measures.get("overlaps", 0),
        "operations": measures.get("operations", 0),
        "wall_s": measures.get("wall_s", 0.0),
        "findings": [asdict(finding) for finding in verdict.findings],
        "doubts": verdict.doubts,
        "remarks": remarks
        + recovered(plan, outcome, measures.get("unacknowledged"))
        + measures.get("spool", {}).get("told", []),
        "measures": measures,
        "processes": [asdict(process) for process in outcome.processes],
        "objects": outcome.objects,
        "leaks": outcome.leaks,
        "kept": outcome.kept,
        "disturbances": _disturbed(plan, outcome),
        "faults": outcome.faults,
        "restarts": outcome.restarts,
        "initial": _rows(names, outcome.initial),
        "final": _rows(names, outcome.final),
        "interrupted": outcome.interrupted,
    }


def printed(document: Any) -> str:
    """Return a document as the JSON that is printed, which every reader takes.

    What is no number there (a stock that a program spoilt) is a word: ``"nan"``.
    """
    return json.dumps(_strict(document), indent=2, allow_nan=False)


def _strict(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _strict(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _disturbed(plan: Plan, outcome: Outcome) -> list[str]:
    """Say what went wrong on purpose and what never did, and who was started anew."""
    said = []
    struck = [fault for fault in outcome.faults if fault["kind"] not in HARMLESS]
    counts = Counter(fault["kind"] for fault in struck)
    if counts:
        first = struck[0]
        where = " at ".join(filter(None, (first["process"], first["step"])))
        told = ", ".join(many(count, kind) for kind, count in counts.items())
        said.append(f"faults that struck: {told}; the first: {first['kind']} {where}".rstrip())
    done = {fault.get("number") for fault in outcome.faults}
    said += [
        f"a fault never struck: {_told(fault)}"
        for number, fault in enumerate(plan.faults)
        if number not in done and fault.kind not in HARMLESS and outcome.gate_ns
    ]
    failed = [fault for fault in outcome.faults if "failed" in fault]
    if failed:
        said.append(f"{many(len(failed), 'fault')} could not strike: {failed[0]['failed']}")
    if outcome.restarts:
        said.append(f"{many(outcome.restarts, 'time')} a process was started anew")
    for process in outcome.processes:
        # A summary is what the process says: it may say anything.
        dropped = process.summary.get("dropped")
        if isinstance(dropped, int) and dropped:
            said.append(f"{process.name} dropped {many(dropped, 'job')}: the channel was full")
    said += [f"{name} was not started any more: its limit was reached" for name in outcome.given_up]
    return said


def _told(fault: FaultPlan) -> str:
    """Return a fault of a plan as a person would name it."""
    trigger = fault.trigger
    place = " at ".join(filter(None, (trigger.process, trigger.step)))
    when = f", the {trigger.at:,}. time" if trigger.at else ""
    if trigger.after is not None:
        when = f", after {trigger.after:g} s"
    return f"{fault.kind} {place}".rstrip() + when


def as_expected(expect: Expect, verdict: Verdict) -> bool:
    """Return whether a run came out as its scenario promises.

    Findings that are not promised are welcome in an anomaly, but no failure of the run is.
    """
    found = {finding.kind for finding in verdict.findings}
    promised = set(expect.findings) | set(expect.any)
    return (
        verdict.verdict == expect.verdict
        and found.issuperset(expect.findings)
        and (not expect.any or bool(found & set(expect.any)))
        and not (found & set(FAILURES)) - promised
    )


def exit_status(document: dict[str, Any]) -> int:
    """Return the exit status that a run's document stands for (DESIGN section 7)."""
    if document["interrupted"]:
        return 128 + int(document["interrupted"])
    if document["measures"].get("checker_failed"):
        return UNDECIDED
    if document["as_expected"]:
        return 0
    promised = {*document["expected"]["findings"], *document["expected"]["any"]}
    found = {finding["kind"] for finding in document["findings"]}
    # An object that vanished leaves the run undecided: that is what its status says.
    if (found & set(FAILURES)) - promised - {"object_vanished"}:
        return BROKEN
    return UNDECIDED if document["verdict"] == "undecided" else FAILED


def worst(statuses: list[int]) -> int:
    """Return the one exit status of several runs: the most serious."""
    order = [0, UNDECIDED, FAILED, BROKEN]
    return max(statuses, key=lambda status: order.index(status) if status in order else status)


def _rows(names: list[str], rows: list[list[float]] | None) -> dict[str, dict[str, float]] | None:
    if rows is None:
        return None
    return {
        name: dict(zip(("sell", "buy", "stock"), row, strict=False))
        for name, row in zip(names, rows, strict=True)
    }
