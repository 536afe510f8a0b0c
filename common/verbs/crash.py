"""Kill a process at each of its steps, one run a point, and look at what is left each time.

A first run counts the steps, a second one is timed. Then one run kills the process at the first
step that it passes, the next one at the second, until a run passes without reaching its point: how
many there are may differ from run to run. After each kill the run is judged, and then one without a
fault, in the same place, must come out as the variant promises, too.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import json
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from common import pipeline, runs
from common.errors import UsageError
from common.kinds import nearest
from common.report.crashes import before_text, crash_text, fine, point_of, point_text, steps_of
from common.report.progress import Progress
from common.scenario.faults import FaultPlan, Trigger
from common.scenario.load import load
from common.scenario.plan import Plan, plan
from common.system import System
from common.verbs.run import add_places, positive, shipped

AS_PROMISED, NOT_AS_PROMISED = 0, 1
# Of so many points that were not as promised the runs are kept: nobody looks at more of them.
KEPT = 10


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
    parser.add_argument(
        "--verbose", action="store_true", help="a line for each point (default: on a terminal)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def execute(arguments: argparse.Namespace, systems: Mapping[str, System]) -> int:
    """Kill at every point; returns 0 when all came out as the variant's expectation promises."""
    scenario = load(shipped(arguments.scenario), systems, arguments.settings)
    first = plan(scenario, arguments.variant, arguments.seed, systems)
    process = _victim(first, arguments.process)
    sweep = _Sweep(first, process, systems, arguments.out)
    progress = Progress(running=True)
    told = not arguments.json and (arguments.verbose or sys.stdout.isatty())
    turn = 0
    try:
        sweep.count()
        kills = arguments.times or min(sweep.counted, arguments.limit or sweep.counted)
        if sweep.counted and not arguments.json:
            print(before_text(process, sweep.counted, kills, sweep.seconds), flush=True)
        for turn in () if sweep.interrupted else itertools.count():
            planned = plan(scenario, arguments.variant, first.seed + turn, systems)
            for point in sweep.round(planned, arguments.limit, arguments.times):
                progress.clear()
                if told and not arguments.times:
                    print(point_text(point), flush=True)
                progress.start(f"{first.scenario}: {sweep.kills} kills of about {kills}")
            done = sweep.kills >= (arguments.times or 1)
            if sweep.interrupted or done or not sweep.kills:
                break
    except KeyboardInterrupt:
        # It came between two runs: what was seen so far is told all the same.
        sweep.interrupted = signal.SIGINT
    finally:
        progress.clear()
        sweep.tidy()
    if not sweep.kills and not sweep.interrupted:
        raise UsageError(
            f"{process} passes no step: it was never killed",
            "name another with --process; a program that writes no history has no steps",
        )
    document = sweep.document(turn + 1)
    print(json.dumps(document, indent=2) if arguments.json else crash_text(document))
    if sweep.interrupted:
        return 128 + sweep.interrupted
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
    """The kills of one process; ``points`` are those that were made, JSON-able.

    ``counted`` says how many steps the first run passed, ``seconds`` how long one takes. Of all
    runs only those are kept that are worth a look, and the last one while it may still be one.
    """

    def __init__(
        self, planned: Plan, process: str, systems: Mapping[str, System], out: Path
    ) -> None:
        self.points: list[dict[str, Any]] = []
        self.kills = 0
        self.interrupted = 0
        self.counted = 0
        self.seconds = 0.0
        self._plan = planned
        self._process = process
        self._systems = systems
        self._out = out
        # Of the points that were not as promised, in their order; of the first that showed what is.
        self._harmed: list[str] = []
        self._shown: str | None = None
        self._last: list[str] = []

    def count(self) -> None:
        """Count the steps of the process in a run in which it is not killed."""
        trigger = Trigger(process=self._process, every=1)
        self.counted = len(self._strike("slow", {"seconds": 0.0}, trigger, self._plan)["faults"])
        # Counting costs a message a step, and the first run loads the judge: this one does neither.
        began = time.monotonic()
        if not self.interrupted:
            self._run(dataclasses.replace(self._plan, faults=[]))
        self.seconds = time.monotonic() - began

    def round(
        self, planned: Plan, limit: int | None, times: int | None
    ) -> Iterator[dict[str, Any]]:
        """Kill at one point after another, and yield each; until none is reached, or enough are."""
        for at in itertools.count(1):
            if (limit and at > limit) or (times and self.kills >= times):
                return
            trigger = Trigger(process=self._process, at=at)
            killed = self._strike("kill", {"signal": "KILL"}, trigger, planned)
            if self.interrupted:
                return
            if not killed["faults"]:
                if not fine(killed, self._plan.expect):
                    self._add(point_of(at, "(not reached)", killed, killed, self._plan.expect))
                return
            after = self._run(dataclasses.replace(planned, faults=[]))
            if self.interrupted:
                return
            self.kills += 1
            step = killed["faults"][0]["step"]
            yield self._add(point_of(at, step, killed, after, self._plan.expect))

    def _strike(
        self, kind: str, options: dict[str, Any], trigger: Trigger, planned: Plan
    ) -> dict[str, Any]:
        fault = FaultPlan(kind, options, trigger)
        return self._run(dataclasses.replace(planned, faults=[fault]))

    def _run(self, planned: Plan) -> dict[str, Any]:
        document = pipeline.perform(planned, self._systems, self._out)
        self.interrupted = document["interrupted"] or 0
        self._last.append(document["run_dir"])
        return document

    def _add(self, point: dict[str, Any]) -> dict[str, Any]:
        """Take a point, and decide which of its runs are kept."""
        if point["why"] and sum(bool(known["why"]) for known in self.points) < KEPT:
            self._harmed += [each for each in (point["run_dir"], point["after_dir"]) if each]
        elif not point["why"] and point["shown"] and self._shown is None:
            self._shown = point["run_dir"]
        else:
            point["run_dir"] = point["after_dir"] = None
        self.points.append(point)
        self._forget(self._last[-1])
        return point

    def _forget(self, last: str | None = None) -> None:
        """Remove the runs that are not kept: there are thousands of them; ``last`` stays."""
        kept = {*self._harmed, self._shown, last}
        for run_dir in self._last:
            if run_dir not in kept:
                shutil.rmtree(run_dir, ignore_errors=True)
        self._last = [last] if last else []

    def tidy(self) -> None:
        """Have ``latest`` mean what is worth a look: harm, the promised anomaly, the last run."""
        worst = self._harmed[0] if self._harmed else self._shown
        if not self._last:
            return
        self._forget(None if worst else self._last[-1])
        if worst:
            # A full disk costs the link, never what was found.
            with contextlib.suppress(OSError):
                runs.point_at(Path(worst))

    def document(self, rounds: int) -> dict[str, Any]:
        """Return all that was seen, and whether it is what the variant promises.

        A variant that promises a valid run must be valid at every point. One that promises an
        anomaly must show it at one of them at least, and nothing worse at the others.
        """
        expect = self._plan.expect
        shown = any(point["promised"] for point in self.points)
        harmed = any(point["why"] for point in self.points)
        return {
            "scenario": self._plan.scenario,
            "variant": self._plan.variant,
            "seed": self._plan.seed,
            "process": self._process,
            "expected": dataclasses.asdict(expect),
            "rounds": rounds,
            "counted": self.counted,
            "kills": self.kills,
            "conserved": sum(point["conserved"] is not False for point in self.points),
            "steps": steps_of(self.points),
            "points": self.points,
            "interrupted": self.interrupted or None,
            "as_promised": not harmed and (shown or expect.verdict == "valid"),
        }
