"""Every process ends by itself, with its summary told and status 0."""

from __future__ import annotations

import signal

from common.history.case import Case
from common.history.outcome import ProcessOutcome
from common.verdict.evidence import Result, finding
from common.verdict.finding import Instance

# These failures have findings of their own.
ELSEWHERE = ("ObjectVanished", "WaitExpired")


def check(case: Case) -> Result:
    """Return the processes that failed, that were killed, or that ended before they were done.

    What the launcher itself killed did not crash, nor whom a fault of the scenario struck, and a
    guest may leave when it likes.
    """
    processes = case.outcome.processes
    crashed = [each for each in processes if _crashed(each) and not _cut(case, each)]
    if not crashed:
        return Result()
    every = [Instance(1.0, _sentence(case, process)) for process in crashed]
    lead = f"{len(crashed)} of {len(processes)} processes crashed."
    cases = (every[0], every[0], every[-1])
    return Result([finding("process_crashed", len(every), float(len(every)), cases, lead)])


def _cut(case: Case, process: ProcessOutcome) -> bool:
    """Tell whether it died of a table that was cut under it, which is told by itself."""
    store = "" if case.plan.table is None else case.plan.table.store.kind
    mapped = store in ("mmap_file", "posix_shm")
    return process.signal == signal.SIGBUS and mapped and case.outcome.vanished is not None


def _crashed(process: ProcessOutcome) -> bool:
    if process.struck is not None and (process.signal is not None or process.exit == 0):
        # Killed, or turned into another program, as the scenario wants it.
        return False
    if process.hung is not None or (process.error or {}).get("kind") in ELSEWHERE:
        return False
    if process.error is not None or process.exit not in (0, None):
        return True
    if process.ended_by_launcher:
        return False
    return process.signal is not None or _without_summary(process)


def _without_summary(process: ProcessOutcome) -> bool:
    return process.exit == 0 and process.phase not in ("done", "left") and not process.guest


def _sentence(case: Case, process: ProcessOutcome) -> str:
    who = f"{process.name} (pid {process.pid}, phase {process.phase})"
    if process.error is not None:
        return f"{who} failed: {process.error['kind']}: {process.error['message']}."
    if _without_summary(process) and process.phase == "start":
        return f"{who} ended with status 0 before it had said that it is ready."
    if _without_summary(process):
        return f"{who} ended without a summary, with status 0."
    if process.signal is None:
        return f"{who} ended with status {process.exit}; its last words are in stderr.txt."
    why = ""
    store = "" if case.plan.table is None else case.plan.table.store.kind
    if process.signal == signal.SIGBUS and store in ("mmap_file", "posix_shm"):
        why = ": probably the table's file or object was cut short under it"
    if process.signal == signal.SIGXFSZ:
        why = (
            ": it wrote more into one file than a program may (RLIMIT_FSIZE, 64 MiB); what it "
            f"printed is in {process.name}.out"
        )
    return f"{who} was killed by signal {process.signal} ({signal.strsignal(process.signal)}){why}."
