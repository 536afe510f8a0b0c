"""Write a stored run as a trace that ui.perfetto.dev and chrome://tracing show."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common import runs
from common.report.progress import Progress
from common.report.text import number
from common.system import System, operations_of
from common.verdict.wording import many

# Beyond this a viewer in a browser gets slow (some hundred megabytes).
MANY = 500_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``trace`` takes."""
    runs.add_run(parser)
    part = parser.add_mutually_exclusive_group()
    part.add_argument(
        "--around",
        type=_count,
        metavar="N",
        help="only the time around finding N, its worst case",
    )
    part.add_argument(
        "--first", type=_count, metavar="N", help="only the time of the first N operations"
    )
    parser.add_argument(
        "--margin", type=_milliseconds, default=5.0, metavar="MS",
        help="how much --around shows on each side, in milliseconds (default: %(default)g)",
    )  # fmt: skip
    parser.add_argument(
        "--output", type=Path, metavar="FILE",
        help="where to write it, gzipped if it ends in .gz (default: trace.json of the run)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def _count(word: str) -> int:
    if not (word.isascii() and word.isdigit()) or not 1 <= int(word) < 1 << 63:
        raise argparse.ArgumentTypeError(f"{word!r} is not a whole number from 1")
    return int(word)


def _milliseconds(word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = -1.0
    # A run takes minutes, not days; what is not a number fails both comparisons.
    if not 0 <= value <= 1e9:
        raise argparse.ArgumentTypeError(f"{word!r} is not a number of milliseconds from 0")
    return value


def execute(arguments: argparse.Namespace, systems: Mapping[str, System]) -> int:
    """Judge the run again and write its trace; 0 when there was a run to write."""
    run_dir = runs.chosen(arguments)
    document = export(run_dir, systems, arguments)
    if arguments.json:
        print(json.dumps(document, indent=2))
        return 0
    print(
        f"{document['path']}: {number(document['operations'])} of {number(document['of'])} "
        f"operations, {many(document['arrows'], 'arrow')}"
    )
    if document["operations"] > MANY:
        print("viewers are slow with so many: --around N or --first N shows less", file=sys.stderr)
    return 0


def export(
    run_dir: Path, systems: Mapping[str, System], arguments: argparse.Namespace
) -> dict[str, Any]:
    """Write the trace and return what it holds; raises ``StoredRunError`` and ``UsageError``."""
    # Imported late: these bring numpy, which the list of verbs must not wait for.
    from common.history import store
    from common.report.trace import file, window
    from common.report.trace.export import Export
    from common.verdict.judge import judge

    case = store.load_case(run_dir, operations_of(list(systems.values())))
    verdict = judge(case)
    if arguments.around is not None:
        margin = round(arguments.margin * 1e6)
        shown = window.around(verdict.findings, arguments.around, margin)
    elif arguments.first is not None:
        shown = window.beginning(case, arguments.first)
    else:
        shown = window.everything(case)
    made = Export(case, verdict, shown)
    path = arguments.output or run_dir / "trace.json"
    progress = Progress(running=True)
    progress.start("trace")
    try:
        written = file.write(
            path,
            made.about(),
            made.events(lambda process, done: progress("progress", process=process, done=done)),
        )
    finally:
        progress.clear()
    return {"path": str(path), "events": written, **made.counts}
