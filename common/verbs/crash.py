"""Kill a process at each of its steps, one run a point, and look at what is left each time.

The points are found by counting: the first run kills the process at the first step that it passes,
the next one at the second, until a run passes without reaching its point. After each kill the run
is judged, and then one without a fault, in the same place, must pass.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from common import pipeline
from common.errors import UsageError
from common.kinds import nearest
from common.report.crashes import crash_text, point_text, steps_of
from common.report.progress import Progress
from common.scenario.faults import FaultPlan, Trigger
from common.scenario.load import load
from common.scenario.plan import Plan, plan
from common.system import System
from common.verbs.run import add_places, positive, shipped

AS_PROMISED, NOT_AS_PROMISED = 0, 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``crash`` takes."""
    parser.add_argument("scenario", metavar="SCENARIO", help="a YAML file, or a shipped scenario")
    add_places(parser)
    parser.add_argument("--variant", help="the variant (default: the scenario's first)")
    parser.add_argument(
        "--process", metavar="P", help="whom to kill (default: the scenario's first process)"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="of the first round (default: drawn)")
    parser.add_argument(
        "--limit", type=positive, metavar="N", help="look at no more than N points a round"
    )
    parser.add_argument(
        "--times", type=positive, metavar="N",
        help="go round, each time with the next seed, until there were N kills",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def execute(arguments: argparse.Namespace, systems: Mapping[str, System]) -> int:
    """Kill at every point; returns 0 when all came out as the variant's expectation promises."""
    scenario = load(shipped(arguments.scenario), systems, arguments.settings)
    first = plan(scenario, arguments.variant, arguments.seed, systems)
    process = _victim(first, arguments.process)
    sweep = _Sweep(first, process, systems, arguments.out)
    progress = Progress(running=True)
    interrupted = 0
    for turn in itertools.count():
        planned = plan(scenario, arguments.variant, first.seed + turn, systems)
        for point in sweep.round(planned, arguments.limit, arguments.times):
            progress.clear()
            if not arguments.json and not arguments.times:
                print(point_text(point), flush=True)
            progress.start(f"{first.scenario}: {len(sweep.points)} kills")
        interrupted = sweep.interrupted
        if interrupted or len(sweep.points) >= (arguments.times or 1):
            break
        if not sweep.points:
            break
    progress.clear()
    if not sweep.points and not interrupted:
        raise UsageError(
            f"{process} passes no step: it was never killed",
            "name another with --process; a program that writes no history has no steps",
        )
    document = sweep.document(turn + 1)
    print(json.dumps(document, indent=2) if arguments.json else crash_text(document))
    if interrupted:
        return 128 + interrupted
    return AS_PROMISED if document["as_promised"] else NOT_AS_PROMISED


def _victim(planned: Plan, name: str | None) -> str:
    """Return the process to kill; raises ``UsageError``."""
    if planned.schedule is not None:
        raise UsageError(
            "a schedule leads this variant from step to step, and a killed process breaks it off",
            "choose another with --variant",
        )
    known = [process.name for process in planned.processes]
    if name is None:
        return known[0]
    if name not in known:
        raise UsageError(f"{planned.scenario} has no process {name!r}", nearest(name, known))
    return name


class _Sweep:
    """The kills of one process; ``points`` are those that were made, JSON-able."""

    def __init__(
        self, planned: Plan, process: str, systems: Mapping[str, System], out: Path
    ) -> None:
        self.points: list[dict[str, Any]] = []
        self.interrupted = 0
        self._plan = planned
        self._process = process
        self._systems = systems
        self._out = out
        self._done_with: list[str] = []

    def round(
        self, planned: Plan, limit: int | None, times: int | None
    ) -> Iterator[dict[str, Any]]:
        """Kill at one point after another, and yield each; until none is reached, or enough are."""
        for at in itertools.count(1):
            if (limit and at > limit) or (times and len(self.points) >= times):
                return
            trigger = Trigger(process=self._process, at=at)
            fault = FaultPlan("kill", {"signal": "KILL"}, trigger)
            killed = self._run(dataclasses.replace(planned, faults=[fault]))
            if self.interrupted:
                return
            if not killed["faults"]:
                if not _passed(killed):
                    self.points.append(self._point(at, "(not reached)", killed, killed))
                return
            after = self._run(dataclasses.replace(planned, faults=[]))
            if self.interrupted:
                return
            point = self._point(at, killed["faults"][0]["step"], killed, after)
            self.points.append(point)
            yield point

    def _run(self, planned: Plan) -> dict[str, Any]:
        document = pipeline.perform(planned, self._systems, self._out)
        self.interrupted = document["interrupted"] or 0
        # Nothing is left to be seen of runs that came out well, and there are thousands of them.
        for run_dir in self._done_with:
            shutil.rmtree(run_dir, ignore_errors=True)
        self._done_with.clear()
        return document

    def _point(
        self, at: int, step: str, killed: dict[str, Any], after: dict[str, Any]
    ) -> dict[str, Any]:
        why = []
        if not (_passed(killed) or _promised(killed)):
            why.append("not as promised")
        if killed["leaks"] or after["leaks"]:
            why.append("something was left behind")
        if not _passed(after):
            why.append("the run after it did not pass")
        if not why:
            self._done_with = [killed["run_dir"], after["run_dir"]]
        return {
            "point": at,
            "step": step,
            "seed": killed["seed"],
            "verdict": killed["verdict"],
            "findings": [finding["kind"] for finding in killed["findings"]],
            "doubts": killed["doubts"],
            "promised": _promised(killed),
            "conserved": _conserved(killed),
            "recovery": killed["measures"].get("recovery"),
            "leaks": killed["leaks"] + after["leaks"],
            "after": after["verdict"],
            "why": why,
            "run_dir": killed["run_dir"] if why else None,
        }

    def document(self, rounds: int) -> dict[str, Any]:
        """Return all that was seen, and whether it is what the variant promises.

        A variant that promises a valid run must be valid at every point. One that promises an
        anomaly must show it at one of them at least, and nothing else at the others.
        """
        expect = self._plan.expect
        shown = any(point["promised"] for point in self.points)
        fine = not any(point["why"] for point in self.points)
        return {
            "scenario": self._plan.scenario,
            "variant": self._plan.variant,
            "seed": self._plan.seed,
            "process": self._process,
            "expected": dataclasses.asdict(expect),
            "rounds": rounds,
            "kills": len(self.points),
            "conserved": sum(point["conserved"] is not False for point in self.points),
            "steps": steps_of(self.points),
            "points": self.points,
            "as_promised": fine and (shown or expect.verdict == "valid"),
        }


def _promised(document: dict[str, Any]) -> bool:
    """Say whether a killed run shows what the variant promises."""
    return bool(document["as_expected"])


def _passed(document: dict[str, Any]) -> bool:
    """Say whether a run is as it should be: one that proves nothing breaks no promise either.

    Two processes that never met, because one of them was killed at once, are such a run.
    """
    measures = document["measures"]
    untried = document["verdict"] == "undecided" and not measures.get("contended")
    if untried and len(document["doubts"]) == 1 and not measures.get("checker_failed"):
        return _conserved(document) is not False
    return bool(document["verdict"] == "valid")


def _conserved(document: dict[str, Any]) -> bool | None:
    """Say whether every unit is where the records say; None without a table, or if unknown."""
    missing = document["measures"].get("missing")
    if not missing:
        return None
    return not any(missing.values())
