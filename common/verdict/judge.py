"""What does a run mean? Asks every property, and says ``valid`` only where that was in question.

A run proves that its locks work only if processes met: without overlap or contention, and with
anything left unexplained, it is ``undecided``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any, TypeVar

from common import kinds
from common.history import overlap
from common.history.case import Case
from common.history.measure import measure
from common.scenario.plan import ChannelPlan
from common.verdict import (
    balance,
    completeness,
    handling,
    outcome,
    recoveries,
    refusals,
    sheet,
    sightings,
    unseen,
)
from common.verdict.evidence import Result
from common.verdict.finding import KINDS, Verdict
from common.verdict.properties.object_vanished import removed_on_purpose
from common.verdict.wording import joined

T = TypeVar("T")

# Told before each check: what is asked, how many checks are done, of how many.
Told = Callable[[str, int, int], None]

VALID, ANOMALY, UNDECIDED = "valid", "anomaly", "undecided"


def judge(case: Case, progress: Told | None = None) -> Verdict:
    """Return the verdict on a run; a checker that fails makes it undecided, never valid.

    ``measures["checker_failed"]`` is true when a property or the measuring raised. ``progress`` is
    told how far it is.
    """
    result = Result()
    checks = {
        "balance": balance.check,
        "completeness": completeness.check,
        "handling": handling.check,
        "outcome": outcome.check,
        "refusals": refusals.check,
        "sheet": sheet.check,
        "sightings": sightings.check,
        "recoveries": recoveries.check,
    }
    names = ["measure", *kinds.names(kinds.PROPERTIES), *checks]

    def begin(name: str) -> None:
        if progress is not None:
            progress(name, names.index(name), len(names))

    begin("measure")
    measured = _protected("measure", lambda: measure(case.history, case.outcome), result)
    measures: dict[str, Any] = measured or {}
    names_of = {channel.index: channel.name for channel in case.plan.channels}
    measures["channels"] = {
        names_of.get(number, f"channel {number}"): figures
        for number, figures in measures.get("channels", {}).items()
    }
    for kind in kinds.names(kinds.PROPERTIES):
        begin(kind)
        found = _protected(kind, partial(_property, kind, case), result)
        if found is not None:
            result.findings += found.findings
            result.doubts += found.doubts
            measures.update(found.measures)
    contradictions: list[str] = []
    for name, ask in checks.items():
        begin(name)
        contradictions += _protected(name, partial(ask, case), result) or []
    result.doubts += contradictions
    if case.plan.table is not None and case.plan.table.recovery != "none":
        measures["recovery"] = recoveries.tally(case.outcome.recoveries)
    if case.outcome.interrupted is not None:
        measures["interrupted"] = case.outcome.interrupted
    if not result.findings and not result.doubts:
        result.doubts += _protected("contention", lambda: _untried(case, measures), result) or []
        result.doubts += _protected("meeting", lambda: sheet.untried(case), result) or []
    measures.update(result.measures)
    kinds_found = {finding.kind for finding in result.findings}
    if kinds_found == {"object_vanished"}:
        who = "by the scenario's own fault" if removed_on_purpose(case) else "from outside"
        result.doubts.append(f"an object was removed {who}: the run could not be completed")
        verdict = UNDECIDED
    else:
        verdict = ANOMALY if kinds_found else UNDECIDED if result.doubts else VALID
    order = {kind: number for number, kind in enumerate(KINDS)}
    result.findings.sort(key=lambda finding: order.get(finding.kind, len(order)))
    doubts = joined(result.doubts)
    return Verdict(verdict, result.findings, doubts, measures, joined(contradictions))


def _property(kind: str, case: Case) -> Result:
    result: Result = kinds.load(kinds.PROPERTIES, kind).check(case)
    return result


def _protected(name: str, ask: Callable[[], T], result: Result) -> T | None:
    try:
        return ask()
    except Exception as error:
        result.doubts.append(f"the checker {name} failed: {type(error).__name__}: {error}")
        result.measures["checker_failed"] = True
        return None


def _untried(case: Case, measures: dict[str, Any]) -> list[str]:
    """Return why a run in which nothing was found proves nothing: it put nothing to the test."""
    if unseen.programs(case.plan):
        # What they leave was in question; whether they met is asked there.
        return []
    if not measures["operations"]:
        return ["no operation was done"]
    places: dict[str, dict[str, int]] = measures["places"]
    active = sum(len(process.records) > 0 for process in case.history.processes)
    if active < 2:
        count = len(case.outcome.processes)
        return [f"only one of {count} processes did anything"] if count > 1 else []
    if case.spool is not None:
        # What is in question there is not whether two met, but whether what was accepted is kept.
        return []
    # Under a schedule who had to wait stood before the lock and had not asked for it yet: that
    # nobody met there was no luck.
    if not measures["contended"] and case.plan.schedule is None:
        return ["no two operations overlapped"]
    doubts = []
    for name, title in _unguarded(case).items():
        place = places.get(name, asdict(overlap.Place()))
        if place["processes"] > 1 and place["sections"] and not place["overlaps"]:
            doubts.append(f"nothing guards {title}, but no two processes were inside it at once")
    return doubts


def _unguarded(case: Case) -> dict[str, str]:
    """Return the places that no lock guards, as measures name them, with a name for people."""
    plan = case.plan
    found: dict[str, str] = {}
    if plan.table is not None and plan.table.lock.kind == "none":
        found[overlap.TABLE] = "the table"
    if plan.paper is not None and plan.paper.lock.kind == "none":
        found[overlap.PAPER] = "the paper"
    for channel in plan.channels:
        if _unguarded_channel(channel):
            found[f"{overlap.CHANNEL} {channel.index}"] = f"the channel {channel.name}"
    return found


def _unguarded_channel(channel: ChannelPlan) -> bool:
    module = kinds.load(kinds.CHANNELS, channel.part.kind)
    if not getattr(module, "GUARDED", True):
        # The kernel synchronises it: there are no sections of ours.
        return False
    if hasattr(module, "guarded"):
        return not module.guarded(module.Options(**channel.part.options))
    return channel.lock.kind == "none"
