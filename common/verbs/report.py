"""Draw a stored run, or a comparison, as one HTML page that needs nothing else."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from common import runs
from common.errors import UsageError
from common.report import comparison
from common.system import System

FILE = "report.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``report`` takes."""
    runs.add_run(parser, "the directory of a run or of a comparison, or a scenario run before")
    parser.add_argument(
        "--compare", action="store_true", help="RUN is a scenario: draw its latest comparison"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE",
        help=f"where to write the page (default: {FILE} in the directory of the run)",
    )  # fmt: skip


def execute(arguments: argparse.Namespace, systems: Mapping[str, System]) -> int:
    """Judge the run or runs again, write the page and print where it is."""
    name = (
        f"{runs.scenario_of(arguments.run)}/latest-compare" if arguments.compare else arguments.run
    )
    compared = comparison.find(arguments.out, name)
    if arguments.variant is not None and (arguments.compare or compared is not None):
        raise UsageError("a comparison shows every variant", "leave --variant out")
    if compared is not None:
        directory, page = compared, _comparison(compared, systems)
    elif arguments.compare:
        raise UsageError(
            f"no comparison of {arguments.run} is stored below {arguments.out}",
            f"run.py compare {arguments.run} makes one",
        )
    else:
        directory = runs.chosen(arguments)
        page = _run(directory, systems)
    path = arguments.output or directory / FILE
    _write(path, page)
    print(path)
    return 0


def _run(run_dir: Path, systems: Mapping[str, System]) -> str:
    # Imported late: these bring numpy, which the list of verbs must not wait for.
    from common.report.page.run_page import run_page
    from common.report.page.subject import load

    return run_page(load(run_dir, systems))


def _comparison(directory: Path, systems: Mapping[str, System]) -> str:
    from common.report.page.comparison_page import comparison_page
    from common.report.page.subject import load

    stored = comparison.read(directory)
    documents = {
        variant: [load(run_dir, systems).document for run_dir in run_dirs]
        for variant, run_dirs in stored.items()
    }
    turns = range(min(len(each) for each in documents.values()))
    # The first turn in which something was found, for every variant: it had one seed.
    told = next(
        (turn for turn in turns if any(each[turn]["findings"] for each in documents.values())), 0
    )
    subjects = {variant: load(run_dirs[told], systems) for variant, run_dirs in stored.items()}
    return comparison_page(documents, subjects, told)


def _write(path: Path, page: str) -> None:
    passing = runs.passing(path)
    try:
        passing.write_text(page, encoding="utf-8", errors="replace")
        passing.replace(path)
    except OSError as error:
        passing.unlink(missing_ok=True)
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", "choose another file with --output"
        ) from None
