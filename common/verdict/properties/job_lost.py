"""Every job that was offered is delivered."""

from __future__ import annotations

import numpy as np

from common import kinds
from common.history.case import Case
from common.history.operations import Effect
from common.verdict import letters
from common.verdict.delivery import Traffic, traffic
from common.verdict.evidence import Result, finding, instance
from common.verdict.finding import Instance
from common.verdict.spool import keeping
from common.verdict.wording import many, number, were


def check(case: Case) -> Result:
    """Return the jobs that were offered and never delivered, with where each was last seen.

    Where they go through a spool its promise is judged (:mod:`common.verdict.spool`). A run that
    the user interrupted leaves jobs under way: that is a doubt, not a finding.
    """
    if case.spool is not None:
        return keeping.lost(case)
    unnamed = letters.judge(case)
    if unnamed.findings or unnamed.doubts:
        # Where messages bear no name, or an end wrote no history, only counts and texts are known.
        return unnamed
    jobs = traffic(case)
    offered, delivered = jobs.items(jobs.offers), jobs.items(jobs.deliveries)
    gone = jobs.offers[~np.isin(offered, delivered)]
    gone = jobs.distinct(gone)
    result = Result(measures={"jobs_lost": len(gone)} if len(offered) else {})
    if not len(gone):
        return result
    if case.outcome.interrupted is not None:
        result.doubts.append(
            f"{many(len(gone), 'job')} {were(len(gone))} under way when the run was interrupted"
        )
        return result
    cases = [_instance(case, jobs, int(gone[at])) for at in (0, 0, -1)]
    total = len(np.unique(offered))
    lead = f"{many(len(gone), 'job')} of {total:,} {were(len(gone))} offered and never delivered."
    result.findings.append(finding("job_lost", len(gone), float(len(gone)), cases, lead))
    return result


def _instance(case: Case, jobs: Traffic, offer: int) -> Instance:
    """Tell where a job was last seen, and who wrote over it where the positions show it."""
    item = case.history.record(offer)["item"]
    name = case.job(item)
    start = f"{case.process(offer)} offered {name} to {case.place(offer)}"
    seen = jobs.of(item, jobs.every)[-1]
    who = case.process(seen)
    effect = case.history.operation(seen).effect
    if effect is Effect.TAKE:
        work = jobs.done_by(item, {who})
        did = f", did it ({case.history.operation(work[0]).name})" if work else ""
        sentence = f"{start}; {who} took it from {case.place(seen)}{did} and never delivered it"
        return instance(case, 1.0, f"{sentence}{_death(case, who)}.", offer, seen, *work[:1])
    if effect is Effect.PASS:
        start += f"; {who} handed it on to {case.place(seen)}"
    rival = _rival(case, jobs, seen)
    if rival is None:
        witnesses = (offer, seen) if seen != offer else (offer,)
        return instance(
            case, 1.0, f"{start}; nobody ever took it{_undone(case, seen)}.", *witnesses
        )
    other = case.history.record(rival)
    sentence = (
        f"{start}; {case.process(rival)} was there at the same time, read the same position "
        f"{number(other['v3'])} and placed {case.job(other['item'])} there too; nobody ever took "
        f"{name}."
    )
    return instance(case, 1.0, sentence, seen, rival)


def _rival(case: Case, jobs: Traffic, at: int) -> int | None:
    """Return another process's offer that read the same position in an overlapping interval."""
    history = case.history
    found = history.record(at)
    channel = case.channel(found["object"])
    # Where the kernel synchronises there are no positions; with `per` one index is many channels.
    if found["asked"] == found["entered"] or (channel is not None and channel.per):
        return None
    placed = np.sort(np.concatenate([jobs.offers, jobs.passes]))
    placed = placed[history.objects[placed] == found["object"]]
    same = (history.gather("v3", placed) == found["v3"]) & (jobs.items(placed) != found["item"])
    same &= history.gather("entered", placed) <= found["left"]
    same &= history.gather("left", placed) >= found["entered"]
    rivals = placed[same]
    return int(rivals[0]) if len(rivals) else None


def _undone(case: Case, seen: int) -> str:
    """Tell how the channel itself may have lost the job: by undo, or because it keeps no more."""
    channel = case.channel(case.history.record(seen)["object"])
    if channel is None:
        return ""
    module = kinds.load(kinds.CHANNELS, channel.part.kind)
    facts = module.facts(module.Options(**channel.part.options))
    if not facts.bounded:
        return f": {channel.name} loses in silence what it has no room for ({facts.limits})"
    if not channel.part.options.get("undo"):
        return ""
    return (
        f": {channel.name} counts with undo, so when {case.process(seen)} ended the kernel took "
        f"its posts back, and nobody was told of the job"
    )


def _death(case: Case, name: str) -> str:
    for process in case.outcome.processes:
        if process.name == name and process.signal is not None:
            return f": it was killed by signal {process.signal}"
    return ""
