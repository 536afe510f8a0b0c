"""Every process ends by itself with status 0."""

from __future__ import annotations

import signal

from common.history.case import Case
from common.history.outcome import ProcessOutcome
from common.verdict.evidence import Result, finding
from common.verdict.finding import Instance

# These failures have findings of their own.
ELSEWHERE = ("ObjectVanished", "WaitExpired")


def check(case: Case) -> Result:
    """Return the processes that failed, or that a signal ended which the launcher did not send."""
    crashed = [process for process in case.outcome.processes if _crashed(case, process)]
    if not crashed:
        return Result()
    every = [Instance(1.0, _sentence(case, process)) for process in crashed]
    lead = f"{len(crashed)} of {len(case.outcome.processes)} processes crashed."
    cases = (every[0], every[0], every[-1])
    return Result([finding("process_crashed", len(every), float(len(every)), cases, lead)])


def _crashed(case: Case, process: ProcessOutcome) -> bool:
    if process.hung is not None or (process.error or {}).get("kind") in ELSEWHERE:
        return False
    if process.signal is None:
        return process.exit not in (0, None) or process.error is not None
    # The launcher kills what is left when the gate never opened or the user would not wait.
    unopened = process.phase in ("start", "ready")
    ours = unopened or case.outcome.interrupted is not None
    return not (ours and process.signal == signal.SIGKILL)


def _sentence(case: Case, process: ProcessOutcome) -> str:
    who = f"{process.name} (pid {process.pid}, phase {process.phase})"
    if process.error is not None:
        return f"{who} failed: {process.error['kind']}: {process.error['message']}."
    if process.signal is None:
        return f"{who} ended with status {process.exit}; its last words are in stderr.txt."
    why = ""
    mapped = case.plan.table is not None and case.plan.table.store.kind == "mmap_file"
    if process.signal == signal.SIGBUS and mapped:
        why = ": probably the table's file was cut short under it"
    return f"{who} was killed by signal {process.signal} ({signal.strsignal(process.signal)}){why}."
