"""Try the lecture's sentences about how IPC behaves on this kernel: each one a verdict."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from common import kinds, runs
from common.claims import claim
from common.claims.conduct import Result, conduct
from common.errors import UsageError
from common.report.page.claims_page import claims_page
from common.report.progress import Progress
from common.report.text import paint, wrapped
from common.system import System
from common.verdict.wording import many

OK, UNDECIDED = 0, 3
FILE = "claims.html"
_COLOURS = {
    claim.HOLDS: "valid",
    claim.FAILS: "anomaly",
    claim.DEPENDS: "undecided",
    claim.UNDECIDED: "undecided",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``claims`` takes."""
    parser.add_argument(
        "wanted", nargs="*", metavar="CLAIM|MECHANISM",
        help="a sentence (B26) or all of a mechanism (pipes); default: every one",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument(
        "--report", type=Path, nargs="?", const=runs.OUT / FILE, metavar="FILE",
        help=f"also write a page of it (default: {runs.OUT / FILE})",
    )  # fmt: skip
    parser.add_argument(
        "--notes", action="store_true", help="also print what happened in each experiment"
    )


def execute(arguments: argparse.Namespace, systems: Mapping[str, System]) -> int:
    """Run the experiments that were asked for; 3 when one of them came to no verdict."""
    chosen, names = _chosen(arguments.wanted)
    # Raised wherever it stands: what an experiment has made is removed on the way out.
    signal.signal(signal.SIGTERM, _terminated)
    progress = Progress(running=True)
    results = []
    try:
        for at, experiment in enumerate(chosen, 1):
            progress.start(f"{experiment.mechanism} {at}/{len(chosen)}")
            results.append(conduct(experiment, systems))
    finally:
        progress.clear()
    rows = sorted(_rows(results, names), key=lambda row: claim.order(row["claim"]))
    asked = {word.upper() for word in arguments.wanted}
    skipped = {
        name: reason for name, reason in claim.definitions().items() if not asked or name in asked
    }
    if arguments.json:
        document = {"machine": _machine(), "claims": rows, "definitions": skipped}
        print(json.dumps(document, indent=2))
    else:
        _print(rows, skipped, arguments.notes or bool(arguments.wanted))
    if arguments.report is not None:
        _write(arguments.report, claims_page(rows, _machine(), skipped))
        print(f"the page is {arguments.report}", file=sys.stderr if arguments.json else sys.stdout)
    return UNDECIDED if any(row["verdict"] == claim.UNDECIDED for row in rows) else OK


def _terminated(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _chosen(wanted: list[str]) -> tuple[list[claim.Experiment], set[str]]:
    every = claim.every()
    known = {one.name for experiment in every for one in experiment.claims}
    if not wanted:
        return every, known
    names: set[str] = set()
    mechanisms = kinds.names(claim.MECHANISMS)
    definitions = claim.definitions()
    for word in wanted:
        if word in mechanisms:
            names |= {one.name for each in every if each.mechanism == word for one in each.claims}
        elif word.upper() in known:
            names.add(word.upper())
        elif word.upper() not in definitions:
            hint = kinds.nearest(word, [*mechanisms, *sorted(known, key=claim.order)])
            raise UsageError(f"there is no claim or mechanism {word!r}", hint)
    return [each for each in every if names & {one.name for one in each.claims}], names


def _rows(results: list[Result], names: set[str]) -> list[dict[str, Any]]:
    return [
        {
            "claim": one.name,
            "text": one.name[0],
            "line": one.line,
            "says": one.says,
            "mechanism": result.experiment.mechanism,
            "experiment": result.experiment.name,
            "setup": result.experiment.setup,
            **result.shown[one.name]._asdict(),
            "notes": result.notes,
            "seconds": round(result.seconds, 3),
        }
        for result in results
        for one in result.experiment.claims
        if one.name in names
    ]


def _machine() -> str:
    cores = many(len(os.sched_getaffinity(0)), "core")
    return f"Linux {platform.release()} on {platform.machine()}, {cores}"


def _write(path: Path, page: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", "choose another file with --report"
        ) from None


def _print(rows: list[dict[str, Any]], skipped: Mapping[str, str], notes: bool) -> None:
    for row in rows:
        verdict = paint(_COLOURS[row["verdict"]], row["verdict"].ljust(13))
        print(f"{row['claim']:<5} {verdict}  {row['says']}")
        figure = f"{row['figure']}: " if row["figure"] else ""
        print(wrapped(f"{figure}{row['why']}", " " * 21))
        if notes:
            if row["setup"]:
                print(wrapped(f"({row['setup']})", " " * 21))
            for line in row["notes"]:
                print(wrapped(f"- {line}", " " * 23))
    for name, reason in skipped.items():
        print(f"{name:<5} {'no experiment':<13}  {reason}")
    counts = {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in claim.VERDICTS}
    print(", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count))
