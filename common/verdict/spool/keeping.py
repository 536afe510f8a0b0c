"""Was any job lost, or printed more often than the spool promises? The paper has the last word."""

from __future__ import annotations

from collections import Counter

from common.history.case import Case
from common.kernel.spool import ABORTED, COMPLETED
from common.kernel.spool.making import MISSING
from common.kernel.spool.spool import UNREADABLE
from common.verdict.delivery import traffic
from common.verdict.evidence import Result, finding, instance
from common.verdict.finding import Instance
from common.verdict.spool import belief
from common.verdict.spool.replay import Replay
from common.verdict.spool.summary import summary
from common.verdict.wording import many, were


def lost(case: Case) -> Result:
    """Return the accepted jobs that are nowhere, or completed and not whole on the paper.

    A job that is aborted, or still in the spool, is not lost: the spool has it, and the measures
    (``spool``) say how it stands. Aborted because its file was damaged, it is lost.
    """
    replay = Replay(case)
    jobs = traffic(case)
    told = _told_lost(replay, set(jobs.items(jobs.offers).tolist()))
    measures = {"jobs_lost": len(told), "spool": summary(replay)}
    doubts = belief.doubts(replay)
    if not told:
        return Result(doubts=doubts, measures=measures)
    every = [
        instance(case, 1.0, sentence, jobs.first(item, jobs.offers))
        for item, sentence in told.items()
    ]
    accepted = len(replay.ways.keys() | told.keys())
    lead = f"{many(len(every), 'job')} of {accepted:,} {were(len(every))} accepted and lost."
    found = finding(
        "job_lost", len(every), float(len(every)), (every[0], every[0], every[-1]), lead
    )
    return Result([found], doubts, measures)


def _told_lost(replay: Replay, offered: set[int]) -> dict[int, str]:
    told = {}
    for item in sorted(offered - replay.ways.keys()):
        told[item] = f"{replay.name(item)} was accepted, and no line of the journal knows of it."
    for item, way in replay.ways.items():
        name, states = replay.name(item), replay.final.get(item, [])
        if not states:
            last = way[-1]
            if len(way) == 1 and last.why == MISSING:
                told[item] = (
                    f"{name} was accepted and {last.after.state} when that run had ended; when "
                    "this one began it lay nowhere in the spool."
                )
                continue
            told[item] = (
                f"{name} was accepted; the last that the journal says is that {last.who or 'it'} "
                f"moved it to {last.after.state} ({last.why}), and it lies nowhere in the spool."
            )
        elif states[0]["state"] == ABORTED and way[-1].why.startswith(UNREADABLE):
            # Once at most may be not at all.
            if not replay.at_most_once:
                told[item] = f"{name} was accepted, and was aborted since {way[-1].why}."
        elif states[0]["state"] == COMPLETED:
            missing = _missing(replay, item)
            if missing:
                told[item] = f"{name} is completed, and {missing} on no paper."
    return told


def _missing(replay: Replay, item: int) -> str:
    """Return which pages of a completed job are on no paper, with their verb; "" for none."""
    if not replay.claims(item):
        # Completed in an earlier run: so is its paper.
        return ""
    there = replay.copies.get(item, Counter())
    pages = [page for page in range(1, max(1, replay.pages.get(item, 0)) + 1) if not there[page]]
    if not pages:
        return ""
    return f"its page {pages[0]} lies" if len(pages) == 1 else f"{len(pages)} of its pages lie"


def duplicated(case: Case) -> Result:
    """Return the jobs that lie on paper too often, or in two states of the spool.

    With `at_most_once` no page lies there twice. With `at_least_once` there is at most one copy
    for each time that a printer took the job: again after a printer's death, a failure, or a
    person's release.
    """
    replay = Replay(case)
    told: dict[int, tuple[int, str]] = {}
    for item in replay.copies.keys() & replay.ways.keys():
        copies, claims = replay.printed(item), replay.claims(item)
        allowed = min(claims, 1) if replay.at_most_once else claims
        if copies > allowed:
            promise = "at most once is promised" if replay.at_most_once and claims else (
                f"printers took it {claims} times"
            )  # fmt: skip
            sentence = f"{replay.name(item)} was printed {copies} times, and {promise}."
            told[item] = (copies - allowed, sentence)
    for item, states in replay.final.items():
        if len(states) > 1:
            where = " and ".join(str(each["path"]) for each in states)
            sentence = f"{replay.name(item)} lies in the spool {len(states)} times: {where}."
            told[item] = (len(states) - 1, sentence)
    measures = {"jobs_duplicated": len(told)}
    if not told:
        return Result(measures=measures)
    jobs = traffic(case)

    def case_of(item: int) -> Instance:
        amount, sentence = told[item]
        return instance(case, float(amount), sentence, *jobs.of(item, jobs.deliveries)[:3])

    every = {item: case_of(item) for item in sorted(told)}
    worst = max(every.values(), key=lambda each: each.amount)
    ends = list(every.values())
    lead = f"{many(len(told), 'job')} came more often than is promised."
    total = float(sum(amount for amount, _ in told.values()))
    found = finding("job_duplicated", len(told), total, (ends[0], worst, ends[-1]), lead)
    return Result([found], measures=measures)
