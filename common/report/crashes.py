"""What was seen when a process was killed at each of its steps, as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from common.report.text import number, paint, wrapped
from common.verdict.wording import many

Point = dict[str, Any]

_ENDS = ("undone", "finished", "whole")


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
    for point in [point for point in document["points"] if point["why"]][:10]:
        where = f"point {point['point']} ({point['step']}), seed {point['seed']}"
        lines.append(wrapped(f"{where}: {', '.join(point['why'])}: {point['run_dir']}", "  "))
    word = "as promised" if document["as_promised"] else "not as promised"
    paint_as = "valid" if document["as_promised"] else "anomaly"
    lines.append(
        f"  {paint(paint_as, word)}: the variant promises {document['expected']['verdict']}"
    )
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


def _table(conserved: bool | None) -> str:
    if conserved is None:
        return "no table"
    return "the table is conserved" if conserved else "the table is broken"


def _recovered(recovery: dict[str, int] | None) -> list[str]:
    return [f"{count} {end}" for end in _ENDS if (count := (recovery or {}).get(end, 0))]
