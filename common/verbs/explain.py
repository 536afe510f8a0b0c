"""Tell how each finding of a stored run came about, step by step, and what would prevent it."""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common import runs
from common.errors import UsageError
from common.report.text import WIDTH, number, paint, row_time, wrapped
from common.system import System, operations_of

NARROWEST = 9  # letters of a process's column


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``explain`` takes."""
    runs.add_run(parser)
    parser.add_argument("--finding", type=int, metavar="N", help="only finding N, counting from 1")
    which = parser.add_mutually_exclusive_group()
    for case, about in (
        ("first", "the first case of each finding"),
        ("worst", "the worst case, the one that `run` tells of (default)"),
        ("last", "the last case"),
    ):
        which.add_argument(f"--{case}", dest="which", action="store_const", const=case, help=about)
    parser.set_defaults(which="worst")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def execute(arguments: argparse.Namespace, systems: Mapping[str, System]) -> int:
    """Judge the run again and tell of its findings; 0 when there was a run to tell of."""
    run_dir = runs.chosen(arguments)
    document = explain(run_dir, systems, arguments.which, arguments.finding)
    print(json.dumps(document, indent=2) if arguments.json else explanation_text(document))
    return 0


def explain(
    run_dir: Path, systems: Mapping[str, System], which: str, only: int | None
) -> dict[str, Any]:
    """Return the stories of a run's findings; raises ``StoredRunError`` and ``UsageError``."""
    # Imported late: these bring numpy, which the list of verbs must not wait for.
    from common.history import store
    from common.report.story import tell
    from common.verdict.judge import judge

    case = store.load_case(run_dir, operations_of(list(systems.values())))
    verdict = judge(case)
    count = len(verdict.findings)
    if only is not None and not 1 <= only <= count:
        kinds = ", ".join(f"{at} {each.kind}" for at, each in enumerate(verdict.findings, start=1))
        raise UsageError(
            f"there is no finding {only}", f"the run has: {kinds}" if count else "nothing was found"
        )
    return {
        "scenario": case.plan.scenario,
        "variant": case.plan.variant,
        "run_dir": str(run_dir),
        "verdict": verdict.verdict,
        "doubts": verdict.doubts,
        "findings": [
            {"number": at, **tell(case, finding, which)}
            for at, finding in enumerate(verdict.findings, start=1)
            if only in (None, at)
        ],
        "elsewhere": {} if count else _elsewhere(run_dir),
    }


def _elsewhere(run_dir: Path) -> dict[str, list[str]]:
    """Return what the latest runs of the scenario's variants found, by variant: kinds of it."""
    found = {}
    for variant, stored in runs.by_variant(run_dir.parent).items():
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            verdict = json.loads((stored / "verdict.json").read_text())
            kinds = [str(finding["kind"]) for finding in verdict["findings"]]
            if kinds:
                found[variant] = kinds
    return found


def explanation_text(document: dict[str, Any]) -> str:
    """Return the stories for people."""
    lines = [f"{document['scenario']} · {document['variant']} · {paint(document['verdict'])}"]
    for story in document["findings"]:
        title = f"{story['number']}. {story['kind']}"
        lines += [
            "",
            f"{paint('anomaly', title)} × {number(story['count'])}, the {story['which']}:",
        ]
        lines.append(wrapped(story["sentence"], "  "))
        if story["rows"]:
            lines += ["", *_table(story), *(wrapped(line, "  ") for line in _legend(story))]
        lines += ["", wrapped(f"prevention: {story['prevention']}", "  ")]
    if not document["findings"]:
        reason = "no two processes did each other harm" if document["verdict"] == "valid" else ""
        lines += ["", wrapped(f"Nothing was found{': ' + reason if reason else ''}.", "  ")]
        for variant, kinds in document["elsewhere"].items():
            lines.append(wrapped(f"--variant {variant} has {', '.join(kinds)}.", "  "))
    lines += [wrapped(f"{paint('undecided')}: {doubt}", "  ") for doubt in document["doubts"]]
    return "\n".join(lines)


def _table(story: dict[str, Any]) -> list[str]:
    """Return one column a process and one row a step; long cells go on in the next line."""
    rows, names = story["rows"], story["processes"]
    times = [row[key] for row in rows for key in ("from_ns", "to_ns") if row[key] is not None]
    opening = rows[0]["from_ns"] if rows[0]["from_ns"] is not None else min(times, default=0)
    on_paper = any(row["line"] is not None for row in rows)
    left = [["", "µs", "line"] if on_paper else ["", "µs"]]
    for row in rows:
        marks = (">" if row["switch"] else " ") + (" " if row["in_order"] else "~")
        cells = [marks, row_time(row, opening)]
        left.append([*cells, str(row["line"] or "")] if on_paper else cells)
    texts = [
        names,
        *([row["text"] if row["process"] == name else "" for name in names] for row in rows),
    ]
    left_widths = [max(len(cells[at]) for cells in left) for at in range(len(left[0]))]
    room = min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns)
    room -= sum(left_widths) + 2 * len(left_widths) + 2 * len(names)
    widths = [max(len(cells[at]) for cells in texts) for at in range(len(names))]
    while sum(widths) > room and max(widths) > NARROWEST:
        widths[widths.index(max(widths))] -= 1
    lines: list[str] = []
    for cells, row_texts in zip(left, texts, strict=True):
        start = "  ".join(cell.rjust(width) for cell, width in zip(cells, left_widths, strict=True))
        folded = [
            textwrap.wrap(text, width) or [""]
            for text, width in zip(row_texts, widths, strict=True)
        ]
        for at in range(max(map(len, folded))):
            part = [(each[at] if at < len(each) else "") for each in folded]
            padded = "  ".join(text.ljust(width) for text, width in zip(part, widths, strict=True))
            lines.append(f"{start if not at else ' ' * len(start)}  {padded}".rstrip())
        if cells is left[0]:
            lines.append("-" * (len(start) + sum(widths) + 2 * len(widths)))
    return [f"  {line}" for line in lines]


def _legend(story: dict[str, Any]) -> list[str]:
    rows = story["rows"]
    marks = []
    if any(row["switch"] for row in rows):
        marks.append("> another process goes on")
    if any(not row["in_order"] for row in rows):
        marks.append("~ may as well have come before the row above")
    if any(row["at_ns"] is None for row in rows):
        marks.append("1..2 at some time between the two")
    lines = ["; ".join(marks)] if marks else []
    if story["exact"]:
        lines.append("the run followed a schedule: this is the exact order of the steps")
    if story["kind"] == "data_race":
        maker = "only the schedule" if story["exact"] else "nothing"
        lines.append(f"{maker} made this order: in another run it may be another one")
    if story["left_out"]:
        count = story["left_out"]
        what = "1 operation" if count == 1 else f"{number(count)} operations"
        lines.append(f"{what} around it {'is' if count == 1 else 'are'} left out")
    return lines
