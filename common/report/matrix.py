"""A matrix of kinds as text: one row for each kind of the first axis, a column for the second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from common.report.text import number, paint
from common.verdict.wording import many

Cells = Sequence[Mapping[str, Any]]


def matrix_text(scenario: str, axes: Sequence[str], cells: Cells, refused: Cells = ()) -> str:
    """Return the matrix: in each cell the verdict, or what was found and how often.

    A cell has ``kinds`` (by axis) and ``runs`` (their documents); one that was ``refused`` has
    ``why`` instead.
    """
    lines = [paint("title", f"{scenario}: {' by '.join(axes)}")]
    rows = list(dict.fromkeys(cell["kinds"][axes[0]] for cell in cells))
    columns = list(dict.fromkeys(_column(axes, cell) for cell in cells))
    words = {(cell["kinds"][axes[0]], _column(axes, cell)): _word(cell["runs"]) for cell in cells}
    first = max(len(row) for row in rows)
    widths = {
        column: max(len(column), *(len(words.get((row, column), "")) for row in rows))
        for column in columns
    }
    if columns != [""]:
        heads = "  ".join(column.ljust(widths[column]) for column in columns)
        lines.append(f"  {' ' * first}  {heads}".rstrip())
    for row in rows:
        shown = (
            _painted(words.get((row, column), ""), widths[column], _runs(cells, axes, row, column))
            for column in columns
        )
        lines.append(f"  {row.ljust(first)}  {'  '.join(shown)}".rstrip())
    runs = [run for cell in cells for run in cell["runs"]]
    surprises = [run for run in runs if not run["as_expected"]]
    kept = f"{number(len(runs) - len(surprises))} of {many(len(runs), 'run')} as expected"
    lines.append(f"  {paint('anomaly' if surprises else 'valid', kept)}")
    lines += [f"  not as expected: {run['run_dir']}" for run in surprises]
    lines += [f"  not with {' '.join(each['kinds'].values())}: {each['why']}" for each in refused]
    return "\n".join(lines)


def _column(axes: Sequence[str], cell: Mapping[str, Any]) -> str:
    return " ".join(cell["kinds"][axis] for axis in axes[1:])


def _runs(cells: Cells, axes: Sequence[str], row: str, column: str) -> list[Mapping[str, Any]]:
    return [
        run
        for cell in cells
        if cell["kinds"][axes[0]] == row and _column(axes, cell) == column
        for run in cell["runs"]
    ]


def _word(runs: Sequence[Mapping[str, Any]]) -> str:
    """Return what a cell says: findings with their counts, or the verdict."""
    counts: dict[str, int] = {}
    for run in runs:
        for finding in run["findings"]:
            counts[finding["kind"]] = counts.get(finding["kind"], 0) + finding["count"]
    if counts:
        return " ".join(f"{kind} {number(count)}" for kind, count in counts.items())
    verdicts = dict.fromkeys(run["verdict"] for run in runs)
    return ", ".join(verdicts)


def _painted(word: str, width: int, runs: Sequence[Mapping[str, Any]]) -> str:
    if not runs:
        return word.ljust(width)
    verdicts = {run["verdict"] for run in runs}
    verdict = next(iter(verdicts)) if len(verdicts) == 1 else "undecided"
    surprise = "" if all(run["as_expected"] for run in runs) else "!"
    return paint(verdict, word) + surprise + " " * (width - len(word) - len(surprise))
