"""Are the records all there? Each process says how much it did; its file must hold as much.

A file that is missing, or was cut, holds nothing that is wrong: only its process's own count tells.
"""

from __future__ import annotations

from collections import Counter

from common.history.case import Case
from common.history.merge import History, States
from common.history.operations import Effect
from common.history.outcome import ProcessOutcome
from common.scenario.groups import PLAIN

# What the counts of a summary count.
COUNTS = {
    "done": Effect.UPDATE,
    "done and refused": Effect.DELIVER,
    "changes": Effect.SET,
    "snapshots": Effect.SNAPSHOT,
    "placed": Effect.OFFER,
    "taken": Effect.TAKE,
    "answered": Effect.TAKE,
    "printed": Effect.DELIVER,
}


def check(case: Case) -> list[str]:
    """Return a doubt for each process whose records are missing, doubled or not as many as told.

    Whoever was ready had a file. Only a process that ended as it should has told a count; a guest
    counts as it likes.
    """
    history = case.history
    files = Counter(process.index for process in history.processes)
    recorded = {
        process.index: _by_effect(history, which) for which, process in enumerate(history.processes)
    }
    doubts = []
    for process in case.outcome.processes:
        if files[process.index] > 1:
            doubts.append(f"{process.name} has {files[process.index]} files of records, not one")
        elif process.level == PLAIN:
            continue
        elif process.phase != "start" and not files[process.index]:
            doubts.append(f"the records of {process.name} are missing")
        elif process.phase == "done" and not process.guest:
            doubts += _differences(process, recorded[process.index])
    return doubts


def _by_effect(history: History, which: int) -> Counter[Effect]:
    counts = history.tallies[which, States.DONE]
    found: Counter[Effect] = Counter()
    for code, operation in history.operations.items():
        found[operation.effect] += int(counts[code])
    return found


def _differences(process: ProcessOutcome, recorded: Counter[Effect]) -> list[str]:
    told = {key: value for key, value in process.summary.items() if type(value) is int}
    if "refused" in told:
        # Who orders from another counts the answers: yes or no, each was delivered.
        told["done and refused"] = told.pop("done", 0) + told["refused"]
    return [
        f"{process.name} reports {told[key]:,} {key}, but its records hold {recorded[effect]:,} "
        f"({effect})"
        for key, effect in COUNTS.items()
        if key in told and told[key] != recorded[effect]
    ]
