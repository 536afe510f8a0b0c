"""Measure what locks, channels and tables cost here, beside C and Python's own means.

Every kind with its options, on the same terms, in alternation, with warm-up and intervals; what is
not alike is not compared, and what this machine is too noisy to tell is called about the same.
Exit status: 0 every goal met, 1 some not, 2 usage, 4 something could not be measured, 130 or 143
interrupted; nothing is left behind. docs/bench.md says how to read it.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import platform
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Any

from benchmarks import grid
from common import kinds
from common.errors import UsageError
from common.report.progress import Progress

if TYPE_CHECKING:
    from benchmarks.grid.measuring import Asked, Judged, Result
    from common.system import System

FAMILIES = "benchmarks.grid"
MET, NOT_MET, FAILED = 0, 1, 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``bench`` takes."""
    parser.add_argument(
        "families", nargs="*", metavar="FAMILY", help="of " + ", ".join(_families())
    )
    parser.add_argument("--quick", action="store_true", help="less often, and shorter")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw the figures too")
    parser.add_argument(
        "--kinds", default="", metavar="A,B", help="only these kinds, and what stands beside them"
    )


def execute(arguments: argparse.Namespace, systems: Mapping[str, System]) -> int:
    """Measure the families that ``arguments`` name; returns the exit status.

    Raises ``UsageError`` for a family or a kind that is not there.
    """
    from benchmarks.grid.measuring import FULL, QUICK, Asked

    chosen = {name: kinds.load(FAMILIES, name) for name in _chosen(arguments.families)}
    asked = Asked(QUICK if arguments.quick else FULL, _kinds(arguments.kinds, chosen))
    if arguments.plot is not None:
        _drawable(arguments.plot)
    found: dict[str, list[Result]] = {}
    judged: dict[str, list[Judged]] = {}
    with _interruptible():
        for name, family in chosen.items():
            found[name] = _measured(name, family, asked, told=not arguments.json)
            judged[name] = family.goals(found[name])
            if not arguments.json:
                _tell_end(found[name], judged[name])
    if arguments.json:
        print(json.dumps(_document(arguments.quick, found, judged), indent=2))
    if arguments.plot is not None:
        from benchmarks import plotting

        arguments.plot.write_text(plotting.svg(found), encoding="utf-8")
    return _status(found, judged)


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    return {
        "kernel": platform.release(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
    }


def _families() -> list[str]:
    return [name for name in grid.FAMILIES if name in kinds.names(FAMILIES)]


def _chosen(names: list[str]) -> list[str]:
    for name in names:
        if name not in _families():
            raise UsageError(
                f"there is no family {name!r} to measure", kinds.nearest(name, _families())
            )
    return [name for name in _families() if not names or name in names]


def _kinds(words: str, chosen: Mapping[str, ModuleType]) -> tuple[str, ...]:
    names = tuple(word.strip() for word in words.split(",") if word.strip())
    known = [kind for family in chosen.values() for kind in kinds.names(family.PACKAGE)]
    for name in names:
        if name not in known:
            raise UsageError(f"there is no kind {name!r} to measure", kinds.nearest(name, known))
    return names


def _drawable(path: Path) -> None:
    """Find out before the minutes of measuring that a picture could not be written."""
    if path.suffix != ".svg":
        raise UsageError(f"--plot {path}: the picture is an SVG", "name it FILE.svg")
    if not os.access(path.parent, os.W_OK) or path.is_dir():
        raise UsageError(f"--plot {path}: it cannot be written there")


def _measured(name: str, family: ModuleType, asked: Asked, *, told: bool) -> list[Result]:
    """Measure one contest after another, and print each as soon as it is there."""
    from benchmarks.grid import report
    from benchmarks.grid.measuring import measure

    if asked.kinds and not asked.wanted(kinds.names(family.PACKAGE)):
        return []
    progress, results = Progress(running=True), []
    if told:
        print(f"{name}\n\n{family.NOTE}\n{report.legend()}\n", flush=True)
    try:
        with contextlib.closing(family.contests(asked)) as contests:
            progress.start(f"{name}: starting processes")
            for contest in contests:
                progress.start(f"{name}: {contest.terms}")
                results.append(measure(contest, asked.effort))
                progress.clear()
                if told:
                    print(report.contest(results[-1]), flush=True)
                progress.start(f"{name}: starting processes")
    finally:
        progress.clear()
    return results


def _tell_end(results: list[Result], judged: list[Judged]) -> None:
    from benchmarks.grid import report

    if results:
        print(report.waiting(results))
    if judged:
        print(report.goals(judged) + "\n", flush=True)


def _document(
    quick: bool, found: Mapping[str, list[Result]], judged: Mapping[str, list[Judged]]
) -> dict[str, Any]:
    from benchmarks.grid import report

    return {
        "machine": machine(),
        "quick": quick,
        "families": {
            name: {
                "contests": [report.document(result) for result in results],
                "goals": [report.judged_document(each) for each in judged[name]],
            }
            for name, results in found.items()
        },
    }


def _status(found: Mapping[str, list[Result]], judged: Mapping[str, list[Judged]]) -> int:
    met = [each.met for each in itertools.chain.from_iterable(judged.values())]
    results = itertools.chain.from_iterable(found.values())
    if any(result.failed for result in results) or None in met:
        return FAILED
    return MET if all(met) else NOT_MET


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGINT and SIGTERM end the block, once: what is being removed is not interrupted."""

    def interrupted(number: int, _frame: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)

    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    for each in before:
        signal.signal(each, interrupted)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
