"""Grade a submission: points for each item, of schedules that are replayed, never of luck."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import stat
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from common.errors import MachineError, UsageError
from common.report.progress import Progress
from common.system import System

GRADED, NOT_STABLE = 0, 1
# How often a teacher's check grades.
TIMES = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``grade`` takes."""
    parser.add_argument("file", type=Path, metavar="FILE", help="the grading file (YAML)")
    parser.add_argument(
        "--submission", type=Path, metavar="PATH",
        help="a directory or file to be graded (default: the file's own reference)",
    )  # fmt: skip
    parser.add_argument(
        "--json", nargs="?", const="-", metavar="FILE",
        help="write Gradescope's results.json there (default: on standard output, alone)",
    )  # fmt: skip
    parser.add_argument(
        "--student", action="store_true", help="leave out hidden items and what is for the teacher"
    )
    parser.add_argument(
        "--check", type=int, nargs="?", const=TIMES, metavar="N",
        help=f"grade N times (default {TIMES}): is each the same, and does each item get all?",
    )  # fmt: skip


def execute(arguments: argparse.Namespace, systems: Mapping[str, System]) -> int:
    """Grade; 0 whatever the points, 4 (and no results) when the grader itself failed."""
    # Imported late: judging brings numpy, which the list of verbs must not wait for.
    from common.grading import judging, warden
    from common.grading.reading import read

    if arguments.check is not None and arguments.check < 2:
        raise UsageError(f"--check {arguments.check} compares nothing", "2 or more")
    grading = read(arguments.file, systems)
    target = None if arguments.json in (None, "-") else Path(arguments.json)
    if target is not None:
        _make_room(target)
    for number in (signal.SIGTERM, signal.SIGHUP):
        # Raised wherever it stands: what was started and made is ended and removed on the way out.
        signal.signal(number, _ended)
    warden.adopt()
    judging.warm_up()
    if arguments.check is not None:
        return _check(arguments, grading, systems)
    document = _grade(grading, arguments.submission, systems, "")[0]
    if arguments.student:
        from common.grading.gradescope import for_student

        document = for_student(document)
    _tell(document, arguments.json, target)
    return GRADED


def _ended(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _grade(
    grading: Any, given: Path | None, systems: Mapping[str, System], turn: str
) -> tuple[dict[str, Any], list[float]]:
    """Return the document, and the seconds that each item took."""
    from common.grading.gradescope import results
    from common.grading.judging import judge
    from common.grading.submission import prepared

    begun = time.monotonic()
    progress = Progress(running=True)
    graded, seconds = [], []
    try:
        with prepared(grading, given) as submission:
            for item in grading.items:
                progress.start(f"{turn}{item.number}/{len(grading.items)} {item.name}")
                started = time.monotonic()
                graded.append((item, judge(item, submission, systems)))
                seconds.append(time.monotonic() - started)
    finally:
        progress.clear()
    return results(grading, graded, time.monotonic() - begun), seconds


def _make_room(target: Path) -> None:
    """Take an older file away: points of another submission must not stand for this one."""
    try:
        if target.exists() and not stat.S_ISREG(target.stat().st_mode):
            raise UsageError(f"{target} is not a regular file", "name another file with --json")
        target.unlink(missing_ok=True)
        if not os.access(target.parent, os.W_OK):
            raise PermissionError(0, "its directory cannot be written to, or is not there")
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror}", "--json FILE") from None


def _tell(document: dict[str, Any], given: str | None, target: Path | None) -> None:
    from common.grading.text import grade_text

    text = json.dumps(document, indent=2, ensure_ascii=False)
    if given == "-":
        print(text)
        return
    if target is not None:
        # Drawn and new: a submission that still writes somewhere cannot have prepared it.
        part = target.with_name(f".{target.name}-{secrets.token_hex(8)}")
        try:
            with part.open("x", encoding="utf-8") as file:
                file.write(text + "\n")
            part.replace(target)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise MachineError(f"{target} cannot be written: {error.strerror}") from None
    print(grade_text(document))


def _check(arguments: argparse.Namespace, grading: Any, systems: Mapping[str, System]) -> int:
    """Grade again and again; 1 when points differ, or when the reference does not get them all."""
    documents, slowest = [], [0.0] * len(grading.items)
    for turn in range(arguments.check):
        told = f"{turn + 1}/{arguments.check}: "
        document, seconds = _grade(grading, arguments.submission, systems, told)
        documents.append({**document, "execution_time": 0})
        slowest = [max(pair) for pair in zip(slowest, seconds, strict=True)]
    from common.grading.text import check_text

    text, sound = check_text(documents, grading, slowest)
    if arguments.json is not None:
        print("--check writes no results", file=sys.stderr)
    print(text)
    return GRADED if sound else NOT_STABLE
