"""Measure the lab against C and bare Python: ``python -m benchmarks [NAME…] [--json] [--quick]``.

``--quick`` judges nothing: so little work is mostly starting. Exit status: 0 every goal met, 1 some
not, 2 usage, 4 a program failed or a row could not be measured here, 130 or 143 interrupted, after
the measured program has removed its kernel objects.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks import report
from benchmarks.measuring import Bench, Measured, measure
from benchmarks.programs import ROOT, CannotMeasure, ProgramFailed
from common import kinds

ROWS = "benchmarks.rows"
MET, NOT_MET, USAGE, FAILED = 0, 1, 2, 4


def main(words: list[str]) -> int:
    """Measure the rows named by ``words``; returns the exit status."""
    arguments = _parser().parse_args(words)
    signal.signal(signal.SIGTERM, _terminated)
    try:
        return _measure_all(arguments)
    except ProgramFailed as error:
        print(error, file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = kinds.names(ROWS)
    parser.add_argument("names", nargs="*", metavar="NAME", help="rows: " + ", ".join(names))
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--quick", action="store_true", help="little work: to see that it runs")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "runs", metavar="DIR",
        help="where runs are kept while they are measured",
    )  # fmt: skip
    return parser


def _measure_all(arguments: argparse.Namespace) -> int:
    names = arguments.names or list(kinds.names(ROWS))
    for name in names:
        if name not in kinds.names(ROWS):
            hint = kinds.nearest(name, kinds.names(ROWS))
            print(f"there is no row {name!r}: {hint}", file=sys.stderr)
            return USAGE
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows: list[Measured] = []
    for name in names:
        with tempfile.TemporaryDirectory(prefix="benchmark-", dir=arguments.out) as out:
            rows.append(_measured(name, Bench(Path(out).resolve(), arguments.quick)))
        if not arguments.json:
            print(report.text(rows[-1:]), flush=True)
    if arguments.json:
        document = {"machine": _machine(), "rows": [row.document() for row in rows]}
        print(json.dumps(document, indent=2))
    if any(row.skipped for row in rows):
        return FAILED
    return MET if all(row.met for row in rows) else NOT_MET


def _measured(name: str, bench: Bench) -> Measured:
    module = kinds.load(ROWS, name)
    question = kinds.about(module)
    try:
        return measure(name, question, module.row(bench), bench.quick)
    except CannotMeasure as reason:
        return Measured(name, question, skipped=str(reason))


def _machine() -> dict[str, Any]:
    return {
        "kernel": platform.release(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
    }


def _terminated(number: int, _frame: FrameType | None) -> None:
    # Raised where the program is awaited, which is interrupted in turn.
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
