"""Judge a stored run again, from its files alone."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common import pipeline, runs
from common.report import text
from common.report.document import exit_status, printed
from common.report.progress import Progress
from common.system import System, operations_of

DISAGREE = (
    "no property was violated, and yet no order explains every operation: one of the two checks is "
    "wrong"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``check`` takes."""
    runs.add_run(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument(
        "--linearizable", action="store_true",
        help="also look for one order that explains every operation of each row and queue: a check "
        "of the verdict",
    )  # fmt: skip
    parser.add_argument(
        "--seconds", type=_seconds, default=10.0, metavar="N",
        help="how long --linearizable may search (default: %(default)g)",
    )  # fmt: skip


def execute(arguments: argparse.Namespace, systems: Mapping[str, System]) -> int:
    """Judge the run and print what ``run`` printed; returns the same exit status."""
    run_dir = runs.chosen(arguments)
    progress = Progress(running=True)
    progress.start(run_dir.name)
    try:
        document = pipeline.judge_run(run_dir, systems, progress)
    finally:
        progress.clear()
    sentences: list[str] = []
    if arguments.linearizable:
        sentences = _look_for_order(document, run_dir, systems, arguments.seconds)
    if arguments.json:
        print(printed(document))
    else:
        print("\n".join([text.run_text(document), *sentences]))
    return exit_status(document)


def _look_for_order(
    document: dict[str, Any], run_dir: Path, systems: Mapping[str, System], seconds: float
) -> list[str]:
    """Add what the search for an order found to ``document``, and return it for people.

    A valid run without such an order is undecided. Raises ``UsageError`` for a run too long.
    """
    # Imported late: these bring numpy, which the list of verbs must not wait for.
    from common.history import store
    from common.verdict import linearizability

    case = store.load_case(run_dir, operations_of(list(systems.values())))
    answers = linearizability.check(case, seconds)
    document["linearizability"] = [each.document() for each in answers]
    broken = any(each.answer == linearizability.NOT for each in answers)
    if broken and document["verdict"] == "valid":
        document["verdict"] = "undecided"
        document["as_expected"] = document["expected"]["verdict"] == "undecided"
        document["doubts"].append(DISAGREE)
    if not answers:
        return ["", "linearizability: nothing was done that could be put in order"]
    return ["", "linearizability:", *(text.wrapped(each.sentence, "  ") for each in answers)]


def _seconds(word: str) -> float:
    try:
        seconds = float(word)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{word} is not a time: give more than 0 seconds")
    return seconds
