"""Try the lecture's sentences about how IPC behaves on this kernel: each one a verdict."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from common import kinds
from common.claims import claim
from common.claims.conduct import Result, conduct
from common.errors import UsageError
from common.report.progress import Progress
from common.system import System

OK, UNDECIDED = 0, 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``claims`` takes."""
    parser.add_argument(
        "wanted", nargs="*", metavar="CLAIM|MECHANISM",
        help="a sentence (B26) or all of a mechanism (pipes); default: every one",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument(
        "--notes", action="store_true", help="also print what happened in each experiment"
    )


def execute(arguments: argparse.Namespace, systems: Mapping[str, System]) -> int:
    """Run the experiments that were asked for; 3 when one of them came to no verdict."""
    chosen, names = _chosen(arguments.wanted)
    progress = Progress(running=True)
    results = []
    try:
        for at, experiment in enumerate(chosen, 1):
            progress.start(f"{experiment.mechanism} {at}/{len(chosen)}")
            results.append(conduct(experiment, systems))
    finally:
        progress.clear()
    rows = sorted(_rows(results, names), key=lambda row: claim.order(row["claim"]))
    if arguments.json:
        print(json.dumps({"claims": rows}, indent=2))
    else:
        _print(rows, arguments.notes or bool(arguments.wanted))
    return UNDECIDED if any(row["verdict"] == claim.UNDECIDED for row in rows) else OK


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
        elif word.upper() in definitions:
            reason = definitions[word.upper()]
            raise UsageError(f"{word.upper()} needs no experiment: {reason}")
        else:
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
            **result.shown[one.name]._asdict(),
            "notes": result.notes,
            "seconds": round(result.seconds, 3),
        }
        for result in results
        for one in result.experiment.claims
        if one.name in names
    ]


def _print(rows: list[dict[str, Any]], notes: bool) -> None:
    for row in rows:
        print(f"{row['claim']:<5} {row['verdict']:<14} {row['says']}")
        figure = f"{row['figure']}: " if row["figure"] else ""
        print(f"      {figure}{row['why']}")
        if notes:
            for line in row["notes"]:
                print(f"        - {line}")
    counts = {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in claim.VERDICTS}
    print(", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count))
