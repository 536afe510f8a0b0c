"""Does what the launcher stored of a run hold together? Its facts must bear each other out.

An outcome is written once, by one hand. Where two of its facts contradict each other, or the files
of records, somebody changed it, or the launcher erred: nothing that rests on it is certain then.
"""

from __future__ import annotations

from common.history.case import Case
from common.history.merge import States
from common.history.outcome import ProcessOutcome
from common.process.injection import MOST_TOLD
from common.process.recoveries import NAME as RECOVERY
from common.scenario.groups import PLAIN
from common.verdict.wording import listed, many, were


def check(case: Case) -> list[str]:
    """Return a doubt for each contradiction, and for a log that is incomplete."""
    return [*_faults(case), *_restarts(case), *_ends(case), *_files(case), *_log(case)]


def _log(case: Case) -> list[str]:
    # Not that its lines prove anything: but a disk that lost them may have lost more.
    reason = case.outcome.unlogged
    if reason is None:
        return []
    return [f"the log is incomplete: it could not be written to its end ({reason})"]


def _faults(case: Case) -> list[str]:
    outcome = case.outcome
    planned = {fault.kind for fault in case.plan.faults}
    strange = sorted({str(fault["kind"]) for fault in outcome.faults} - planned)
    doubts = [f"a fault of the kind {kind} struck, and the scenario has none" for kind in strange]
    if len(outcome.faults) >= MOST_TOLD:
        # No more are written down: who is not named may have been struck all the same.
        return doubts
    named = {fault["process"] for fault in outcome.faults}
    unnamed: dict[str, list[str]] = {}
    for process in outcome.processes:
        if process.struck is not None and process.name not in named:
            unnamed.setdefault(process.struck, []).append(process.name)
    return doubts + [
        f"{listed(who)} {were(len(who))} struck by {struck}, and no fault that struck names "
        f"{'it' if len(who) == 1 else 'them'}"
        for struck, who in unnamed.items()
    ]


def _restarts(case: Case) -> list[str]:
    outcome = case.outcome
    lives = sum(process.life > 0 for process in outcome.processes)
    if lives == outcome.restarts:
        return []
    return [f"{many(outcome.restarts, 'restart')} counted, but {lives} processes in others' place"]


def _ends(case: Case) -> list[str]:
    """Return doubts on processes that ended as they should, by what they left."""
    history = case.history
    flying = {
        recorded.index: int(history.tallies[which, States.IN_FLIGHT].sum())
        for which, recorded in enumerate(history.processes)
    }
    done = [
        process
        for process in case.outcome.processes
        if process.phase == "done" and process.level != PLAIN
    ]
    silent = [process.name for process in done if not process.summary]
    cut = [process.name for process in done if _well(process) and flying.get(process.index)]
    doubts = []
    if silent:
        whose = "it" if len(silent) == 1 else "them"
        doubts.append(
            f"{listed(silent)} {were(len(silent))} done, but no summary of {whose} is stored"
        )
    if cut:
        whose = "its" if len(cut) == 1 else "their"
        doubts.append(
            f"{listed(cut)} ended as {'it' if len(cut) == 1 else 'they'} should, but {whose} "
            "records end in an operation that did not"
        )
    return doubts


def _well(process: ProcessOutcome) -> bool:
    return process.exit == 0 and process.signal is None and process.error is None


def _files(case: Case) -> list[str]:
    """Return doubts on files whose header says that they are another's, or nobody's."""
    known = {process.name for process in case.outcome.processes} | {RECOVERY}
    doubts, nobodys = [], []
    for recorded in case.history.processes:
        if recorded.claimed:
            doubts.append(
                f"history/{recorded.file}.rec says that it is of {recorded.claimed}: it was given "
                f"to {recorded.name}, and is judged as that one's"
            )
        elif recorded.file and recorded.file not in known:
            nobodys.append(f"history/{recorded.file}.rec")
    if nobodys:
        verb = "is" if len(nobodys) == 1 else "are"
        doubts.append(f"{listed(nobodys)} {verb} of no process of the run")
    return doubts
