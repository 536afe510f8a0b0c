"""An exploration as a document and as text: what was walked, and what that proves."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.report.text import number, paint, wrapped
from common.verdict.wording import many

if TYPE_CHECKING:
    from common.exploration.explore import Explored
    from common.scenario.plan import Plan

# More outcomes than this are counted together.
SHOWN = 12
LAUNCHER = str(Path(__file__).resolve().parents[2] / "run.py")


def exploration_document(explored: Explored, run_dir: Path) -> dict[str, Any]:
    """Return the document of ``explore --json``, of one variant."""
    plan, walk = explored.plan, explored.walk
    names = plan.table.names if plan.table else []
    return {
        "scenario": plan.scenario,
        "source": plan.source,
        "variant": plan.variant,
        "seed": plan.seed,
        "run_dir": str(run_dir),
        "strategy": explored.strategy,
        "reduced": explored.reduced,
        "expected": asdict(plan.expect),
        "settings": plan.settings,
        "schedules": walk.walked,
        "steps": walk.steps,
        "seconds": walk.seconds,
        "judging_s": explored.judging_s,
        "complete": walk.complete,
        "interleavings": explored.interleavings,
        "proof": explored.proof,
        "shared": walk.shared,
        "undecided": walk.undecided,
        "doubted": walk.doubted,
        "doubt": walk.doubt,
        "interrupted": explored.interrupted,
        "broken": explored.broken,
        "broken_by": explored.broken_by,
        "ends": _ends(plan),
        "leaks": explored.leaks,
        "unrepeatable": explored.unrepeatable,
        "findings": {
            found.kind: {
                "schedules": found.schedules,
                "operations": found.operations,
                "switches": found.switches,
                "steps": [list(move) for move in found.moves],
                "token": explored.tokens.get(found.kind),
            }
            for found in walk.found.values()
        },
        "outcomes": [
            {
                "changed": _changed(names, explored.initial, final),
                "findings": list(kinds),
                "schedules": count,
            }
            for final, kinds, count in sorted(walk.outcomes.values(), key=lambda each: -each[2])
        ],
    }


def _ends(plan: Plan) -> str:
    """Say what is left out where the end of a process changes what others see."""
    undone = [channel.name for channel in plan.channels if channel.part.options.get("undo")]
    if not undone:
        return ""
    return (
        f"not covered: what the kernel takes back from {', '.join(undone)} when a process ends "
        "(SEM_UNDO); the processes of a walk live on to the next schedule"
    )


def _changed(
    names: list[str], initial: list[list[float]] | None, final: list[list[float]] | None
) -> dict[str, float]:
    if initial is None or final is None:
        return {}
    return {
        name: after[-1]
        for name, before, after in zip(names, initial, final, strict=True)
        if before[-1] != after[-1]
    }


def command(verb: str, source: str, settings: Sequence[str] = (), **options: object) -> str:
    """Return a command line to paste into a shell; options that are None are left out."""
    words = [_named(sys.executable), _named(LAUNCHER), verb, source]
    for setting in settings:
        words += ["--set", setting]
    for name, value in options.items():
        if value is not None:
            words += [f"--{name}", str(value)]
    return shlex.join(words)


def _named(path: str) -> str:
    """Return a path as a user here would name it."""
    here = os.path.relpath(path)
    return path if here.startswith("..") else here


def exploration_text(document: dict[str, Any]) -> str:
    """Return the exploration of one variant for people."""
    findings, walked = document["findings"], document["schedules"]
    lines = [f"{document['scenario']} · {document['variant']} · seed {document['seed']}", ""]
    harm = [f"{found['schedules']:,} show {kind}" for kind, found in findings.items()]
    nothing = "none of them does any harm" if walked else "nothing is known"
    told = ", ".join(harm) or nothing
    lines.append(wrapped(f"{document['proof']}: {told}.", "  "))
    if document["broken"]:
        lines.append(
            wrapped(f"{paint('undecided')}: the walk ended there: {document['broken']}", "  ")
        )
    if document["broken_by"]:
        lines.append(f"    {_replay(document, document['broken_by'])}")
    if document["ends"] and document["schedules"]:
        lines.append(wrapped(document["ends"], "  "))
    if not document["complete"] and not findings:
        bounded = document["strategy"] == "pct" and walked
        why = "a bound is no proof" if bounded else "this proves nothing"
        lines.append(wrapped(f"{paint('undecided')}: {why}", "  "))
    lines += _unkept(document)
    if document["undecided"]:
        lines.append(f"  {paint('undecided')}: a checker failed in {document['undecided']:,}")
    if document["doubted"]:
        told = f"the records of {document['doubted']:,} contradict themselves: {document['doubt']}"
        lines.append(wrapped(f"{paint('undecided')}: {told}", "  "))
    seconds = document["seconds"]
    rate = f", {number(walked / seconds)} a second" if seconds > 0.1 else ""
    touched = ", ".join(document["shared"]) or "nothing"
    lines.append(
        wrapped(
            f"{many(walked, 'schedule')} of {number(document['steps'] / max(walked, 1), 1)} steps "
            f"in {seconds:.1f} s{rate}; shared: {touched}",
            "  ",
        )
    )
    if not walked:
        told = "not even one schedule came to its end: raise --seconds, or --set fewer operations"
        return "\n".join([*lines, wrapped(told, "  "), ""]) + "\n"
    lines += ["", *_outcomes(document)]
    for kind, found in findings.items():
        lines += ["", *_finding(kind, found, document)]
    lines += ["", f"  stored in {document['run_dir']}"]
    if not document["complete"]:
        lines.append(f"  go on with: {_go_on(document)}")
    return "\n".join(lines) + "\n"


def _unkept(document: dict[str, Any]) -> list[str]:
    """Say which promise of the scenario the walk did not see."""
    expected, found = document["expected"], set(document["findings"])
    missed = [kind for kind in expected["findings"] if kind not in found]
    if expected["any"] and not found & set(expected["any"]):
        missed.append("one of " + ", ".join(expected["any"]))
    if not missed or not document["schedules"]:
        return []
    told = f"the scenario promises {' and '.join(missed)}, and no schedule here shows it"
    return [wrapped(f"{paint('undecided')}: {told}", "  ")]


def _outcomes(document: dict[str, Any]) -> list[str]:
    outcomes = document["outcomes"]
    lines = [f"  {many(len(outcomes), 'distinct outcome')}:"]
    for outcome in outcomes[:SHOWN]:
        ends = ", ".join(f"{row} {number(at, 6)}" for row, at in outcome["changed"].items())
        kinds = ", ".join(outcome["findings"])
        what = paint("anomaly", kinds) if kinds else paint("valid", "no harm")
        lines.append(f"  {outcome['schedules']:>9,} × {ends + ': ' if ends else ''}{what}")
    if len(outcomes) > SHOWN:
        rest = sum(outcome["schedules"] for outcome in outcomes[SHOWN:])
        lines.append(f"  {rest:>9,} × {len(outcomes) - SHOWN} others")
    return lines


def _finding(kind: str, found: dict[str, Any], document: dict[str, Any]) -> list[str]:
    operations = found["operations"]
    done = many(operations, "operation") if operations else "before any operation was done"
    lines = [f"  {paint('anomaly', kind)}, the shortest: {done}, {_switches(found['switches'])}"]
    if kind in document["unrepeatable"]:
        lines.append(f"  {paint('undecided')}: followed again, it did not show {kind}")
    lines.append(f"    {_replay(document, found['token'])}")
    return lines


def _replay(document: dict[str, Any], token: str) -> str:
    return command("run", document["source"], document["given"], schedule=token)


def _go_on(document: dict[str, Any]) -> str:
    source, given, stored = document["source"], document["given"], document["run_dir"]
    return command("explore", source, given, resume=stored)


def _switches(count: int) -> str:
    return "1 switch" if count == 1 else f"{count:,} switches"
