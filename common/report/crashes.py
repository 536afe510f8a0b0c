"""What was seen when a process was killed at each of its steps, as data and as text."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from typing import Any

from common.report.text import number, paint
from common.scenario.plan import Expect
from common.verdict.wording import many

Point = dict[str, Any]

Document = dict[str, Any]

_ENDS = ("undone", "finished", "whole")
# So many points that were not as promised are told one by one.
TOLD = 10


def point_of(at: int, step: str, killed: Document, after: Document, expect: Expect) -> Point:
    """Return what is known of a point: ``killed`` is the run of the kill, ``after`` the next one.

    ``run_dir`` and ``after_dir`` are the runs that are worth a look, None if they are not;
    ``shown``: this is the anomaly that the variant promises.
    """
    why = []
    if not fine(killed, expect):
        why.append("not as promised")
    if killed["leaks"] or after["leaks"]:
        why.append("something was left behind")
    if after is not killed and not fine(after, expect):
        why.append("the run after it was not as promised")
    harmed = killed["leaks"] or not fine(killed, expect)
    shown = expect.verdict != "valid" and killed["as_expected"]
    ill_after = after is not killed and (after["leaks"] or not fine(after, expect))
    return {
        "point": at,
        "step": step,
        "seed": killed["seed"],
        "verdict": killed["verdict"],
        "findings": [finding["kind"] for finding in killed["findings"]],
        "doubts": killed["doubts"],
        "promised": killed["as_expected"],
        "shown": shown,
        "conserved": _conserved(killed),
        "recovery": killed["measures"].get("recovery"),
        "leaks": killed["leaks"] + (after["leaks"] if after is not killed else []),
        "after": after["verdict"],
        "why": why,
        "run_dir": killed["run_dir"] if harmed or (shown and not why) else None,
        "after_dir": after["run_dir"] if ill_after else None,
    }


def fine(document: Document, expect: Expect) -> bool:
    """Say whether a run is as it may be where ``expect`` is promised.

    A valid run always is, and one that proves nothing breaks no promise either: two processes that
    never met, because one of them was killed at once, are such a run. Where an anomaly is promised
    it may show or not; a race may do no harm this time.
    """
    if document["as_expected"] or document["verdict"] == "valid":
        return True
    measures = document["measures"]
    untried = document["verdict"] == "undecided" and not measures.get("contended")
    if untried and len(document["doubts"]) == 1 and not measures.get("checker_failed"):
        return _conserved(document) is not False
    found = {finding["kind"] for finding in document["findings"]}
    promised = {*expect.findings, *expect.any, "data_race"}
    return document["verdict"] == expect.verdict == "anomaly" and found <= promised


def _conserved(document: Document) -> bool | None:
    """Say whether every unit is where the records say; None without a table, or if unknown."""
    missing = document["measures"].get("missing")
    if not missing:
        return None
    return not any(missing.values())


def before_text(process: str, counted: int, kills: int, seconds: float) -> str:
    """Return what is said before the kills: how many points there are, and what they will cost.

    ``kills`` says how many of the points that were ``counted`` are looked at, ``seconds`` how long
    one run takes.
    """
    whole = kills * 2 * seconds
    time = f"{whole / 60:.0f} min" if whole >= 120 else f"{max(1, round(whole))} s"
    told = (
        f"{process} passed {many(counted, 'step')} in a first run: {many(kills, 'kill')}, two runs "
        f"each, take about {time}"
    )
    return told + (" (--limit N looks at the first N)" if kills >= counted > 20 else "")


def point_text(point: Point) -> str:
    """Return one line for a point: where it was killed, and what came of it."""
    found = ", ".join(point["findings"]) or "; ".join(point["doubts"])
    facts = [_table(point["conserved"]), *_recovered(point["recovery"])]
    if found:
        facts.insert(0, found)
    line = (
        f"  {point['point']:>4}  {point['step']:<8}  {paint(point['verdict'])}: {', '.join(facts)}"
        f"; then {point['after']}"
    )
    return line + "".join(f" - {paint('anomaly', why)}" for why in point["why"])


def crash_text(document: dict[str, Any]) -> str:
    """Return the summary: a line for each step, and whether all was as promised."""
    lines = [
        f"{document['scenario']} · {document['variant']}: {document['process']} was killed "
        f"{many(document['kills'], 'time')} in {many(document['rounds'], 'round')}, "
        f"seed {document['seed']}",
        "",
        f"  {'step':<14} {'kills':>6} {'valid':>6} {'anomaly':>8} {'undecided':>10} "
        f"{'conserved':>10} {'undone':>7} {'finished':>9} {'whole':>6}",
    ]
    for step, row in document["steps"].items():
        lines.append(
            f"  {step:<14} {row['kills']:>6} {row['valid']:>6} {row['anomaly']:>8} "
            f"{row['undecided']:>10} {row['conserved']:>10} {row['undone']:>7} "
            f"{row['finished']:>9} {row['whole']:>6}"
        )
    lines.append("")
    lines.append(
        f"  the table was conserved in {number(document['conserved'])} of "
        f"{number(document['kills'])}"
    )
    ill = [point for point in document["points"] if point["why"]]
    for point in ill[:TOLD]:
        lines += [f"  {_where(point)}: {', '.join(point['why'])}", *_explained(point)]
    if len(ill) > TOLD:
        lines.append(f"  and {number(len(ill) - TOLD)} more points; their runs are not kept")
    shown = [each for each in document["points"] if each["shown"] and not each["why"]]
    # The runs of the first one are kept.
    for each in shown[:1]:
        lines += [f"  {_where(each)}: shows what the variant promises", *_explained(each)]
    if document["interrupted"]:
        lines.append(f"  interrupted by signal {document['interrupted']}: told as far as it came")
    word = "as promised" if document["as_promised"] else "not as promised"
    paint_as = "valid" if document["as_promised"] else "anomaly"
    promises = f"the variant promises {document['expected']['verdict']}"
    unproven = sum(point["verdict"] == "undecided" for point in document["points"])
    if unproven:
        promises += (
            f"; {number(unproven)} of {number(document['kills'])} proved nothing (undecided)"
        )
    lines.append(f"  {paint(paint_as, word)}: {promises}")
    return "\n".join(lines)


def steps_of(points: Sequence[Point]) -> dict[str, dict[str, int]]:
    """Return what came of the kills at each step, added up."""
    found: dict[str, Counter[str]] = {}
    for point in points:
        row = found.setdefault(point["step"], Counter())
        row.update(("kills", point["verdict"]))
        row["conserved"] += point["conserved"] is not False
        for end in _ENDS:
            row[end] += (point["recovery"] or {}).get(end, 0)
    columns = ("kills", "valid", "anomaly", "undecided", "conserved", *_ENDS)
    return {step: {column: row[column] for column in columns} for step, row in found.items()}


def _where(point: Point) -> str:
    return f"point {point['point']} ({point['step']}), seed {point['seed']}"


def _explained(point: Point) -> list[str]:
    """Return the command for each run of a point that is kept; never broken: it is copied."""
    kept = [point[key] for key in ("run_dir", "after_dir") if point[key]]
    return [f"    python run.py explain {shlex.quote(run_dir)}" for run_dir in kept]


def _table(conserved: bool | None) -> str:
    if conserved is None:
        return "no table"
    return "the table is conserved" if conserved else "the table is broken"


def _recovered(recovery: dict[str, int] | None) -> list[str]:
    return [f"{count} {end}" for end in _ENDS if (count := (recovery or {}).get(end, 0))]
