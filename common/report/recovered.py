"""What is said of recovery in a run: who was told, what was undone, finished, or found whole."""

from __future__ import annotations

from typing import Any

from common.history.outcome import Outcome
from common.scenario.plan import Plan
from common.verdict.recoveries import FOREIGN, WHOLE, ended, tally
from common.verdict.wording import listed, many, number, were


def recovered(plan: Plan, outcome: Outcome, unacknowledged: int | None) -> list[str]:
    """Return sentences; ``unacknowledged`` operations happened, and their processes died untold."""
    with_intents = plan.table is not None and plan.table.recovery != "none"
    said = _told(outcome, with_intents)
    entries = [entry for entry in outcome.recoveries if "phase" in entry]
    earlier = [entry for entry in entries if entry["began_ns"] < outcome.gate_ns]
    if earlier:
        said.append(
            f"an earlier run had left something half done in the table; {_sum(earlier)} before "
            "this one began"
        )
    entries = entries[len(earlier) :]
    if entries:
        said.append(f"recovery: {many(len(entries), 'time')} a holder died inside; {_sum(entries)}")
        changed = [entry for entry in entries if ended(entry) != WHOLE]
        if changed:
            said.append(_example(plan, changed[0]))
    if unacknowledged and with_intents:
        said.append(
            f"{many(unacknowledged, 'operation')} happened, and the process died before it said "
            "so: applied, not acknowledged"
        )
    return said


def _told(outcome: Outcome, with_intents: bool) -> list[str]:
    """Say who was given a lock whose owner had died in it: its row may be half written."""
    told: dict[str, int] = {}
    for process in outcome.processes:
        # A summary is what the process says: it may say anything.
        count = process.summary.get("recovered")
        if isinstance(count, int) and count:
            told[process.name] = count
    if not told:
        return []
    then = (
        "and looked at the intent record"
        if with_intents
        else "the lock is sound, what it guards may be half written"
    )
    who = listed(list(told))
    return [
        f"{who} {were(len(told))} given a lock by an owner that had died in it (EOWNERDEAD), "
        f"{many(sum(told.values()), 'time')}: {then}"
    ]


def _sum(entries: list[dict[str, Any]]) -> str:
    counts = tally(entries)
    found = {key: count for key, count in counts.items() if count and key != FOREIGN}
    words = [
        f"{count:,} found whole" if key == WHOLE else f"{count:,} {key}"
        for key, count in found.items()
    ]
    if counts[FOREIGN]:
        words.append(f"{many(counts[FOREIGN], 'value')} of somebody else left alone")
    return ", ".join(words)


def _example(plan: Plan, entry: dict[str, Any]) -> str:
    """Tell the first recovery that changed something."""
    assert plan.table is not None
    width = len(plan.table.rows[0])
    back = entry["action"] == "undo"
    wanted = "new" if back else "old"
    changes = []
    for change in entry["changes"]:
        if change["found"] == wanted:
            before, after = (change[key] for key in (("new", "old") if back else ("old", "new")))
            name = plan.table.names[change["cell"] // width]
            changes.append(f"{name} {number(before)} -> {number(after)}")
    deed = "undid" if back else "finished"
    return f"the first: {entry['by']} {deed} what {entry['dead']} had left half done: " + ", ".join(
        changes
    )
