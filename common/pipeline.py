"""One run from plan to document: supervise, merge, judge, store; each arrow leaves a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from common import runs
from common.log import EventLog
from common.process.supervise import Supervisor
from common.report.document import run_document
from common.scenario.plan import Plan
from common.system import System, operations_of

Listener = Callable[..., None]


def perform(
    plan: Plan,
    systems: Mapping[str, System],
    out: Path,
    *,
    narrate: str = "nothing",
    log_operations: bool = False,
    keep: bool = False,
    progress: Listener | None = None,
) -> dict[str, Any]:
    """Run ``plan`` once, judge it, and return its document; the run directory keeps everything.

    ``keep`` leaves the kernel objects in place for ``ipcs``; ``clean`` removes them later.
    Raises ``MachineError``, ``KernelObjectError`` and ``UsageError`` when it cannot run.
    """
    run_dir = runs.make(out, plan.scenario, plan.seed)
    log = EventLog(run_dir / "log.jsonl", narrate)

    def listen(event: str, **facts: Any) -> None:
        log(event, **facts)
        if progress is not None:
            progress(event, **facts)

    try:
        log("run_started", scenario=plan.scenario, variant=plan.variant, seed=plan.seed)
        supervisor = Supervisor(plan, systems, run_dir, out / plan.scenario, listen, keep=keep)
        outcome = supervisor.perform()
        # Imported late: the judge brings numpy, which the processes must not wait for.
        from common.history import store

        store.write_plan(run_dir, plan)
        store.write_outcome(run_dir, outcome)
        document = judge_run(run_dir, systems, log)
        if log_operations:
            _write_operations(run_dir, systems, log)
        log("run_ended", verdict=document["verdict"], as_expected=document["as_expected"])
    finally:
        log.close()
    return document


def judge_run(
    run_dir: Path, systems: Mapping[str, System], log: Listener | None = None
) -> dict[str, Any]:
    """Judge a stored run and store its verdict; raises ``StoredRunError``."""
    from common.history import store
    from common.verdict.judge import judge

    case = store.load_case(run_dir, _operations(run_dir, systems))
    verdict = judge(case)
    remarks = [remark for name in case.plan.systems for remark in systems[name].remarks(case.plan)]
    document = run_document(case.plan, case.outcome, verdict, run_dir, remarks)
    store.write_verdict(run_dir, document)
    if log is not None:
        for finding in document["findings"]:
            log("finding", **finding)
    return document


def _operations(run_dir: Path, systems: Mapping[str, System]) -> Any:
    return operations_of(list(systems.values()))


def _write_operations(run_dir: Path, systems: Mapping[str, System], log: Listener) -> None:
    from common.history import store
    from common.report.operations import log_operations

    case = store.load_case(run_dir, _operations(run_dir, systems))
    log_operations(case.history, case.outcome.gate_ns, log)
