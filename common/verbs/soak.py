"""Run whatever a seed draws, with random faults, for a long time: nothing may break or be left."""

from __future__ import annotations

import argparse
import json
import math
import os
import secrets
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from common import names
from common.soaking.burst import MIX, burst
from common.soaking.place import place
from common.soaking.soak import Soak, Tally, numbers
from common.soaking.trial import Report
from common.system import System
from common.verbs.run import positive

FINE, BROKEN = 0, 4
SECONDS = 900.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``soak`` takes."""
    parser.add_argument(
        "--seconds", type=float, metavar="S",
        help=f"begin no run after so long (default: {SECONDS:g}; with --runs: no limit)",
    )  # fmt: skip
    parser.add_argument("--runs", type=positive, metavar="N", help="no more than N runs")
    parser.add_argument("--seed", type=int, metavar="N", help="draw the same runs (default: drawn)")
    parser.add_argument(
        "--first", type=int, default=0, metavar="N",
        help="the number of the first run; with --runs 1 that one alone",
    )  # fmt: skip
    parser.add_argument(
        "--jobs", type=positive, default=2, metavar="N",
        help="so many runs at once (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--burst", type=positive, metavar="N",
        help="instead: N runs at the same moment, all of one scenario, then N of a mixture",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, metavar="DIR",
        help="where runs are kept that were unexpected (default: a temporary directory)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def execute(arguments: argparse.Namespace, systems: Mapping[str, System]) -> int:
    """Soak; returns 0 only when nothing was unexpected and nothing was left."""
    seed = secrets.randbits(31) if arguments.seed is None else arguments.seed
    if arguments.burst:
        return _burst(arguments, seed)
    limit = arguments.seconds
    if limit is None:
        limit = SECONDS if arguments.runs is None else math.inf
    quiet = arguments.json
    if not quiet:
        print(f"soak with seed {seed}, {arguments.jobs} at once", flush=True)

    def tell(report: Report) -> None:
        where = f"{own.runs / str(report.number)}"
        for line in report_lines(report, seed, where):
            print(names.printable(line), file=sys.stderr, flush=True)

    def minute(tally: Tally, seconds: float) -> None:
        if not quiet:
            print(f"{seconds / 60:5.1f} min: {summary(tally)}", flush=True)

    # Imported before any run's process is forked: it brings numpy.
    import common.verdict.judge  # noqa: F401

    with place(arguments.out) as own:
        soak = Soak(seed, own, systems, arguments.jobs, tell, minute)
        soak.perform(limit, numbers(arguments.first, arguments.runs))
        tally = soak.tally
        if quiet:
            print(json.dumps(document(tally, seed, own.queues is not None), indent=2))
        else:
            for line in tally.left:
                print(f"left in the kernel: {names.printable(line)}", file=sys.stderr)
            print(f"soak with seed {seed}: {summary(tally)}")
    if soak.interrupted:
        return 128 + soak.interrupted
    return FINE if tally.fine else BROKEN


def _burst(arguments: argparse.Namespace, seed: int) -> int:
    """Start many at once; returns 0 only when all came out well and shared nothing."""
    every = {}
    with place(arguments.out) as own:
        for name, scenarios in (("one scenario", MIX[:1]), ("a mixture", MIX)):
            found = burst(arguments.burst, seed, own, scenarios)
            every[name] = found
            if arguments.json:
                continue
            for line in found.unexpected + found.shared + found.left:
                print(names.printable(line), file=sys.stderr)
            print(
                f"{found.launchers} at once, {name}: {_counted(found.verdicts)}; "
                f"{found.processes:,} processes, {found.objects:,} kernel objects, "
                f"{found.operations:,} operations in {found.seconds:.1f} s; "
                f"unexpected: {len(found.unexpected)}; shared: {len(found.shared)}; "
                f"leaks: {len(found.left)}",
                flush=True,
            )
    if arguments.json:
        print(
            json.dumps(
                {
                    name: {**vars(found), "verdicts": dict(found.verdicts)}
                    for name, found in every.items()
                },
                indent=2,
            )
        )
    return FINE if all(found.fine for found in every.values()) else BROKEN


def summary(tally: Tally) -> str:
    """Return what a soak has come to, in a line."""
    return (
        f"{tally.runs:,} runs ({_counted(tally.verdicts)}) of {tally.processes:,} processes, "
        f"{tally.restarts:,} restarts; faults: {_counted(tally.faults)}; launchers struck: "
        f"{_counted(tally.launchers)}; findings: {_counted(tally.findings)}; "
        f"unexpected: {len(tally.unexpected)}; leaks: {tally.leaks + len(tally.left)}"
    )


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counter.most_common()) or "none"


def report_lines(report: Report, seed: int, where: str) -> list[str]:
    """Return what is said of a run that was not as it should be."""
    what = [f"unexpected: {each}" for each in report.unexpected]
    what += [f"left: {each}" for each in report.leaks]
    return [
        f"run {report.number}: {report.line}",
        *(f"  {each}" for each in what),
        f"  kept in {where}; once more: run.py soak --seed {seed} --first {report.number} --runs 1",
    ]


def document(tally: Tally, seed: int, own: bool) -> dict[str, Any]:
    """Return the document of a soak; ``own``: its kernel objects were apart from all others."""
    return {
        "seed": seed,
        "own_namespace": own,
        "cores": len(os.sched_getaffinity(0)),
        "runs": tally.runs,
        "processes": tally.processes,
        "restarts": tally.restarts,
        "verdicts": dict(tally.verdicts),
        "faults": dict(tally.faults),
        "launchers_struck": dict(tally.launchers),
        "findings": dict(tally.findings),
        "unexpected": [asdict(report) for report in tally.unexpected],
        "left": tally.left,
        "leaks": tally.leaks + len(tally.left),
        "fine": tally.fine,
    }
