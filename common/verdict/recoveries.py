"""What became of the operations that died inside? Undone, finished, or found whole; and the odd.

A cell that holds neither the old value nor the new one was written by somebody without the lock:
such a value is left alone, and nobody knows what it is worth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from common.verdict.wording import many, number

if TYPE_CHECKING:
    # The launcher counts recoveries before it judges, and must not wait for numpy.
    from common.history.case import Case

UNDONE, FINISHED, WHOLE, FOREIGN = "undone", "finished", "whole", "foreign"


def tally(recoveries: list[dict[str, Any]]) -> dict[str, int]:
    """Return how many operations were undone, finished, or found whole; and foreign values."""
    counts = dict.fromkeys((UNDONE, FINISHED, WHOLE, FOREIGN), 0)
    for entry in recoveries:
        if "phase" in entry:
            counts[ended(entry)] += 1
            counts[FOREIGN] += len(foreign(entry))
    return counts


def ended(entry: dict[str, Any]) -> str:
    """Return what a recovery did: nothing had to be changed where it found all of it whole."""
    wanted, word = ("new", UNDONE) if entry["action"] == "undo" else ("old", FINISHED)
    changed = any(change["found"] == wanted for change in entry["changes"])
    return word if entry["phase"] == "intended" and changed else WHOLE


def foreign(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the changes of whose cells somebody else had made something else."""
    # Where all was done and committed, what came afterwards is no business of this operation.
    if entry["phase"] != "intended":
        return []
    return [change for change in entry["changes"] if change["found"] == "foreign"]


def check(case: Case) -> list[str]:
    """Return doubts: foreign values, recoveries that are not told, or that could not be made."""
    doubts = []
    for entry in case.outcome.recoveries:
        if "failed" in entry:
            doubts.append(f"what may be half done was not recovered: {entry['failed']}")
        elif "untold" in entry:
            doubts.append(f"{many(entry['untold'], 'more recovery')} than the record has room for")
        else:
            doubts += [_strange(case, entry, change) for change in foreign(entry)]
            doubts += _unowned(case, entry)
    return doubts


def _unowned(case: Case, entry: dict[str, Any]) -> list[str]:
    """Return a doubt where nobody died in what was recovered: the record is no witness by itself.

    What was recovered before the gate opened was left by an earlier run.
    """
    if entry.get("began_ns", 0) < case.outcome.gate_ns:
        return []
    owner = next((each for each in case.outcome.processes if each.name == entry["dead"]), None)
    if owner is None:
        who = f"{entry['dead']} is none of this run"
    elif owner.phase == "done" and owner.signal is None:
        who = f"{owner.name} came to its end as it should"
    else:
        return []
    return [
        f"{entry['by']} recovered what {entry['dead']} had left half done, but {who}: somebody "
        "wrote the intent record who was not entitled to"
    ]


def _strange(case: Case, entry: dict[str, Any], change: dict[str, Any]) -> str:
    rows = case.outcome.initial or [[0.0]]
    row, field = divmod(change["cell"], len(rows[0]))
    what = "stock" if field == len(rows[0]) - 1 else f"rate {field + 1}"
    return (
        f"{case.row(row)}: when {entry['by']} recovered what {entry['dead']} had left, the {what} "
        f"was {number(change['seen'], 9)}, neither the old {number(change['old'], 9)} nor the new "
        f"{number(change['new'], 9)}: somebody wrote to it without the lock, and it was left alone"
    )
