"""What a stored run tells of its fault: when it struck, and what became of each process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from common.history.case import Case
from common.history.outcome import ProcessOutcome

MS = 1_000_000


@dataclass(frozen=True)
class Entry:
    """The first operation that a process came to do: when it asked, and when it was inside (ns)."""

    process: ProcessOutcome
    asked: int
    entered: int


def strike(case: Case, kind: str) -> dict[str, Any]:
    """Return what was told of the last fault of a kind; empty when it never struck."""
    return next((told for told in reversed(case.outcome.faults) if told["kind"] == kind), {})


def members(case: Case, group: str) -> list[ProcessOutcome]:
    """Return the processes of a group."""
    names = case.plan.group(group).processes
    return [process for process in case.outcome.processes if process.name in names]


def records(case: Case, process: str) -> list[dict[str, Any]]:
    """Return the operations that a process came to the end of, in order; refused ones, too."""
    history = case.history
    return [history.record(at) for at in _places(case, process) if not history.in_flight[at]]


def refusals(case: Case, process: str) -> list[dict[str, Any]]:
    """Return the operations that a process was refused, in order."""
    history = case.history
    return [history.record(at) for at in _places(case, process) if history.refused[at]]


def _places(case: Case, process: str) -> range:
    """Return where in the history the records of a process are."""
    history = case.history
    for which, recorded in enumerate(history.processes):
        if recorded.name == process:
            return range(history.bounds[which], history.bounds[which + 1])
    return range(0)


def entries(case: Case, group: str) -> list[Entry]:
    """Return the first operation of each process of a group that did any, the earliest first."""
    found = []
    for process in members(case, group):
        done = records(case, process.name)
        if done:
            found.append(Entry(process, int(done[0]["asked"]), int(done[0]["entered"])))
    return sorted(found, key=lambda entry: entry.entered)


def rest(case: Case, struck: dict[str, Any]) -> str:
    """Return how long after a fault the last process had ended, in the unit that fits."""
    return time(case.outcome.ended_ns - struck["at_ns"])


def failure(process: ProcessOutcome) -> str:
    """Return the kind of error with which a process ended; "" for none."""
    return (process.error or {}).get("kind", "")


def found(document: dict[str, Any]) -> set[str]:
    """Return the kinds of findings of a run."""
    return {finding["kind"] for finding in document["findings"]}


def told_option(case: Case, kind: str, option: str) -> Any:
    """Return an option of the first fault of a kind in the plan."""
    return next(fault.options[option] for fault in case.plan.faults if fault.kind == kind)


def time(ns: int) -> str:
    """Return a time in the unit that fits."""
    if ns < 10 * MS:
        return f"{max(0, ns) / MS:.1f} ms"
    return f"{ns / MS:.0f} ms" if ns < 1000 * MS else f"{ns / (1000 * MS):.1f} s"
