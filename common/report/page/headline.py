"""The verdict in a sentence: of one run, of the variants of a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from common.verdict.wording import many, number

Document = Mapping[str, Any]

# What happened so many times, by kind of finding: for one, and for many.
_HAPPENED = {
    "lost_update": ("update was lost", "updates were lost"),
    "negative_stock": ("sale drove a stock below zero", "sales drove a stock below zero"),
    "torn_read": ("reader saw a row that nobody wrote", "readers saw rows that nobody wrote"),
    "job_lost": ("job was lost", "jobs were lost"),
    "job_duplicated": ("job was handled twice", "jobs were handled twice"),
    "job_corrupted": ("job was garbled", "jobs were garbled"),
    "job_reordered": ("job was overtaken", "jobs were overtaken"),
    "pages_interleaved": ("job was printed into another", "jobs were printed into one another"),
    "deadlock": ("deadlock stopped the run", "deadlocks stopped the run"),
    "starvation": ("process starved", "processes starved"),
    "data_race": ("pair of accesses raced", "pairs of accesses raced"),
    "process_crashed": ("process crashed", "processes crashed"),
    "process_hung": ("process hung", "processes hung"),
    "object_vanished": ("kernel object vanished", "kernel objects vanished"),
    "leak": ("kernel object was left behind", "kernel objects were left behind"),
}


def happened(kind: str, count: int) -> str:
    """Return how often a kind of finding happened, in words: ``340 updates were lost``."""
    other = f"case of {kind}", f"cases of {kind}"
    one, several = _HAPPENED.get(kind, other)
    return f"{count:,} {one if count == 1 else several}"


def of_run(document: Document) -> str:
    """Return the verdict on a run in a sentence."""
    done = f"{many(document['operations'], 'operation')} of {_processes(document)}"
    match document["verdict"]:
        case "anomaly":
            found = _listed([happened(f["kind"], f["count"]) for f in document["findings"]])
            return f"{found}, in {done}."
        case "valid":
            met = document["measures"].get("contended") or 0
            return f"{done}, {number(met)} of which met, and nothing was lost or damaged."
        case _:
            return f"Nothing is proved: {'; '.join(document['doubts']) or 'the run is in doubt'}."


def of_variant(runs: Sequence[Document]) -> str:
    """Return what became of the runs of one variant in a sentence."""
    count = len(runs)
    verdicts = [run["verdict"] for run in runs]
    for verdict in ("anomaly", "undecided"):
        hits = verdicts.count(verdict)
        if hits:
            share = _of(hits, count)
            if verdict == "undecided":
                rest = ", and nothing found in the others" if hits < count else ""
                return f"nothing is proved in {share}{rest}."
            totals: dict[str, int] = {}
            for found in (f for run in runs for f in run["findings"]):
                totals[found["kind"]] = totals.get(found["kind"], 0) + found["count"]
            told = _listed([happened(kind, total) for kind, total in totals.items()])
            return f"{told}, in {share}."
    return f"nothing was found in {_of(count, count)}."


def expectation(document: Document) -> str:
    """Return whether a run came out as its scenario promises."""
    expected = document["expected"]
    wanted = expected["verdict"]
    if expected["findings"]:
        wanted += f" with {_listed(expected['findings'])}"
    if expected["any"]:
        wanted += f" with {' or '.join(expected['any'])}"
    told = "as the scenario promises" if document["as_expected"] else "not as the scenario promises"
    return f"This is {told} ({wanted})."


def _of(hits: int, count: int) -> str:
    return f"{hits:,} of {many(count, 'run')}"


def _processes(document: Document) -> str:
    count = len(document["processes"])
    return "1 process" if count == 1 else f"{count:,} processes"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
