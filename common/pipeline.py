"""One run from plan to document: supervise, merge, judge, store; each arrow leaves a file."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from common import runs
from common.errors import MachineError, StoredRunError
from common.history import store
from common.log import EventLog
from common.process.following import follow
from common.process.reception import Listener
from common.process.stage import Stage
from common.process.supervise import Onlooker, Supervisor
from common.report.document import run_document
from common.scenario.plan import Plan
from common.scenario.schedule import Move, Schedule
from common.system import System, operations_of

if TYPE_CHECKING:
    from common.history.case import Case


class Leader(Protocol):
    """Who leads the processes of a run; afterwards ``moves`` is the schedule that was followed."""

    moves: list[Move]

    def __call__(self, stage: Stage) -> None:
        """Lead them to the end, or as far as it goes."""


def perform(
    plan: Plan,
    systems: Mapping[str, System],
    out: Path,
    *,
    narrate: str = "nothing",
    log_operations: bool = False,
    keep: bool = False,
    progress: Listener | None = None,
    lead: Leader | None = None,
    onlooker: Onlooker | None = None,
) -> dict[str, Any]:
    """Run ``plan`` once, judge it, and return its document; the run directory keeps everything.

    ``lead`` leads the processes from step to step; the plan is stored with the schedule that it
    chose. ``onlooker`` looks at a run that nobody leads, while it goes on.

    ``keep`` leaves the kernel objects in place for ``ipcs``; ``clean`` removes them later.
    Raises ``MachineError``, ``KernelObjectError`` and ``UsageError`` when it cannot run.
    """
    run_dir = runs.make(out, plan.scenario, plan.seed)
    log = EventLog(run_dir / "log.jsonl", narrate)

    def listen(event: str, **facts: Any) -> None:
        log(event, **facts)
        if progress is not None:
            progress(event, **facts)

    def stored(write: Callable[[Path, Any], Path], document: Any) -> None:
        try:
            _stored(write, run_dir, document)
        except MachineError:
            # What is evidence may have the room of what only tells of it.
            if not log.give_way():
                raise
            _stored(write, run_dir, document)

    try:
        log("run_started", scenario=plan.scenario, variant=plan.variant, seed=plan.seed)
        stored(store.write_plan, plan)
        direct: Callable[[Stage], None] | None = lead
        if direct is None and plan.schedule is not None:
            direct = partial(follow, schedule=plan.schedule)
        supervisor = Supervisor(
            plan,
            systems,
            run_dir,
            out / plan.scenario,
            listen,
            keep=keep,
            direct=direct,
            onlooker=onlooker,
        )
        outcome = supervisor.perform()
        outcome.unlogged = log.incomplete
        if lead is not None:
            led = Schedule([list(move) for move in lead.moves], exact=True)
            stored(store.write_plan, dataclasses.replace(plan, schedule=led))
        stored(store.write_outcome, outcome)
        document, case = _judge(run_dir, systems, progress)
        stored(store.write_verdict, document)
        for finding in document["findings"]:
            log("finding", **finding)
        if log_operations:
            from common.report.operations import log_operations as write_operations

            write_operations(case.history, outcome.gate_ns, log)
        log("run_ended", verdict=document["verdict"], as_expected=document["as_expected"])
        if log.incomplete != outcome.unlogged:
            # The disk was full only now: what was stored as whole is judged again, as it is.
            outcome.unlogged = log.incomplete
            stored(store.write_outcome, outcome)
            document, case = _judge(run_dir, systems, progress)
            stored(store.write_verdict, document)
    finally:
        log.close()
    return document


def judge_run(
    run_dir: Path, systems: Mapping[str, System], progress: Listener | None = None
) -> dict[str, Any]:
    """Judge a stored run again, from its files alone; raises ``StoredRunError``."""
    return _judge(run_dir, systems, progress)[0]


def _judge(
    run_dir: Path, systems: Mapping[str, System], progress: Listener | None
) -> tuple[dict[str, Any], Case]:
    # Imported late: the judge brings numpy, which the processes must not wait for.
    from common.report import remarks
    from common.verdict.judge import judge

    case = store.load_case(run_dir, operations_of(list(systems.values())))

    def judging(what: str, done: int, of: int) -> None:
        if progress is not None:
            progress("judging", what=what, done=done, of=of)

    verdict = judge(case, judging)
    told = remarks.of_run(case, systems)
    return run_document(case.plan, case.outcome, verdict, run_dir, told), case


def _stored(write: Callable[[Path, Any], Path], run_dir: Path, document: Any) -> None:
    try:
        write(run_dir, document)
    except StoredRunError as error:
        raise MachineError(error.message, "free some space, or choose another --out") from None
