"""May the journal of a spool be believed? What was cut off it, or written into it, is a doubt."""

from __future__ import annotations

from common.verdict.spool.replay import Replay


def doubts(replay: Replay) -> list[str]:
    """Return why the journal may not say all that happened, or more than that."""
    spool, plan = replay.spool, replay.case.plan.spool
    told = list(spool.flaws)
    if replay.garbled:
        told.append(f"{replay.garbled:,} of its lines are no moves")
    lasting = plan is not None and plan.path is not None
    if spool.beyond and not lasting:
        # Where it outlives its run a person may have moved jobs since.
        told.append(f"it has grown by {spool.beyond:,} bytes since the run had ended")
    before = spool.address.get("doubts", [])
    return [f"the journal of the spool is not as it was written: {each}" for each in told] + [
        f"the journal of the run before does not tell all of what lay in the spool: {each}"
        for each in (before if isinstance(before, list) else [])
    ]
