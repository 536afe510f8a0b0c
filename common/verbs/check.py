"""Judge a stored run again, from its files alone."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

from common import pipeline, runs
from common.report import text
from common.report.document import exit_status
from common.system import System


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``check`` takes."""
    parser.add_argument("run", metavar="RUN", help="a run directory, or a scenario run before")
    parser.add_argument(
        "--out", type=Path, default=runs.OUT, metavar="DIR",
        help="where runs are stored (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def execute(arguments: argparse.Namespace, systems: Mapping[str, System]) -> int:
    """Judge the run and print what ``run`` printed; returns the same exit status."""
    document = pipeline.judge_run(runs.find(arguments.out, arguments.run), systems)
    print(json.dumps(document, indent=2) if arguments.json else text.run_text(document))
    return exit_status(document)
