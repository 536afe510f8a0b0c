"""What would have prevented a finding? Read from the plan: which lock was missing, or was there."""

from __future__ import annotations

from itertools import combinations

from common import kinds
from common.history.case import Case
from common.history.operations import Effect
from common.process.deadlocks import circle
from common.scenario.plan import ChannelPlan
from common.verdict.halves import is_second
from common.verdict.properties.object_vanished import removed_on_purpose
from common.verdict.race_causes import REMEDIES, Cause, cause_of, guarded, reason

_WITH = {
    "lost_update": "with a lock, whoever came second would have read what the first had written",
    "negative_stock": "with a lock, nobody would have written between the check and the read",
    "torn_read": "with a lock, nobody would have read between the two writes of a change",
    "pages_interleaved": "with a lock, the pages of one job would have followed one another",
    "data_race": "with a lock, the one would have come after the other, in whatever order",
}
# The records tell that the lock was used in a wrong way.
_BROKEN = (Cause.DROPPED, Cause.SHRUNK, Cause.DIFFERENT)
_WITHOUT = {
    "process_crashed": "no lock prevents this: its last words are in stderr.txt and log.jsonl of "
    "the run",
    "process_hung": "look at what it waited for, and who should have given it",
    "object_vanished": "nothing in the plan: somebody outside the run removed the object",
    "leak": "`run.py ps` shows what is left, `run.py clean` removes it",
}


# What a spool promises it keeps by itself: who breaks it did something that no option allows.
_SPOOL = {
    "job_lost": "a job leaves the spool by a move alone: nobody removes its file, and it is on "
    "paper, whole, before it is completed",
    "job_duplicated": "who prints a job must have claimed it, by a rename; what was begun is not "
    "begun again where at most once is promised",
    "job_corrupted": "a job's state changes by the moves in docs/spooling.md, each in the journal "
    "before it is made",
    "job_reordered": "whoever claims takes the first in line, under the spool's lock",
    "starvation": "the door is opened before a job is there, and whoever goes looks once more",
}


def prevention(case: Case, kind: str, witnesses: list[int]) -> str:
    """Return a sentence on what would have prevented a finding; ``witnesses`` are positions."""
    if case.spool is not None and kind in _SPOOL:
        return _SPOOL[kind]
    if kind == "starvation":
        return (
            "a lock that is handed to whoever has waited longest, as a System V semaphore is on "
            "Linux; a POSIX one goes to whoever comes in time, and a pause before taking it helps"
        )
    if kind == "deadlock":
        return _deadlock(case)
    if kind == "object_vanished" and removed_on_purpose(case):
        return "the scenario's own fault did it: --set faults=[] runs it without"
    if not witnesses:
        return _WITHOUT.get(kind, "the run does not tell")
    plan = case.plan
    benefit = _WITH.get(kind, "with a lock, one would have come after the other")
    place = case.history.operation(witnesses[0]).place
    if kind == "data_race" and guarded(case):
        return REMEDIES[cause_of(case, witnesses[0], witnesses[-1])]
    if kind == "lost_update" and is_second(case, witnesses[-1]):
        return (
            "table.recovery is none: with recovery: intent the next holder of the lock would have "
            "undone the first half, or finished the second (half_done: finish)"
        )
    if place == "table" and plan.table is not None:
        return _lock(case, "table.lock", plan.table.lock.kind, benefit, witnesses)
    if kind == "pages_interleaved" and plan.paper is not None:
        prints = _prints(case, witnesses)
        return _lock(case, "paper.lock", plan.paper.lock.kind, benefit, prints)
    return _channels(case, witnesses)


def _deadlock(case: Case) -> str:
    closed = circle(case.outcome.deadlock)
    if len(closed) > 1:
        return (
            "one order in which all take their locks, such as that of the rows: without two who "
            "wait for each other there is no circle"
        )
    if closed:
        return "take a lock once: who asks again for what it has waits for itself"
    return "look at what is waited for, and who should have given it"


def _channels(case: Case, witnesses: list[int]) -> str:
    dead = {process.name for process in case.outcome.processes if process.signal is not None}
    last = case.process(witnesses[-1])
    if case.history.operation(witnesses[-1]).effect is Effect.TAKE and last in dead:
        return f"no lock prevents this: {last} died with the job in its hands"
    numbers = dict.fromkeys(int(case.history.objects[at]) for at in witnesses)
    channels = [channel for number in numbers if (channel := case.channel(number))]
    # A job that a race spoilt may show only further on.
    for channel in [*channels, *case.plan.channels]:
        if channel.part.options.get("undo"):
            return (
                f"channels.{channel.name}.undo is true: SEM_UNDO is for locks, and a count of what "
                f"is there must outlive who counted"
            )
        if channel.part.options.get("sync") == "star":
            return (
                f"channels.{channel.name}.sync is star: two who see the star both write; with "
                f"sync: semaphores, one goes on and the others wait"
            )
        mend = _mend(channel)
        if mend:
            return f"channels.{channel.name}: {mend}"
        if _guarded_by_lock(channel) and channel.lock.kind == "none":
            return (
                f"channels.{channel.name}.lock is none: with a lock, whoever came second would "
                f"have read the position that the first had written"
            )
    for channel in channels:
        if _guarded_by_lock(channel):
            name = f"channels.{channel.name}.lock"
            return _lock(case, name, channel.lock.kind, "", witnesses)
    if any(
        getattr(kinds.load(kinds.CHANNELS, each.part.kind), "ANSWERS", False) for each in channels
    ):
        return (
            "a key for each call that the servers remember: who gets no answer calls again, and it "
            "is done once (retry: keyed, remembers: file)"
        )
    return "no lock of the plan is missing: look at the processes that handled the job"


def _mend(channel: ChannelPlan) -> str:
    """Return what the channel's own kind says would keep its messages; "" where it keeps them."""
    module = kinds.load(kinds.CHANNELS, channel.part.kind)
    ask = getattr(module, "mend", None)
    if ask is None:
        return ""
    said: str = ask(module.Options(**channel.part.options), channel.lock.kind)
    return said


def _guarded_by_lock(channel: ChannelPlan) -> bool:
    """Return whether the channel's own lock keeps its users apart (else kernel or slot do)."""
    module = kinds.load(kinds.CHANNELS, channel.part.kind)
    return getattr(module, "GUARDED", True) and not hasattr(module, "guarded")


def _lock(case: Case, name: str, kind: str, benefit: str, witnesses: list[int]) -> str:
    if kind == "none":
        return f"{name} is none: {benefit}"
    records = [
        (case.process(at), case.place(at), {"position": at, **case.history.record(at)})
        for at in witnesses
    ]
    for (one, here, first), (other, there, second) in combinations(records, 2):
        inside = first["entered"] < second["left"] and second["entered"] < first["left"]
        if one != other and here == there and inside:
            pair = first["position"], second["position"]
            cause = cause_of(case, *pair) if name == "table.lock" else Cause.LET_TWO_IN
            if cause in _BROKEN:
                return f"{name} is {kind}, yet {reason(case, *pair)}; {REMEDIES[cause]}"
            return (
                f"{name} is {kind}, so the lock was there, yet {one} and {other} were inside at "
                f"once: look at who goes in without it, or gives back what it has not taken"
            )
    return f"{name} is {kind}, so the lock was there: look at what happened outside of it"


def _prints(case: Case, pages: list[int]) -> list[int]:
    """Return the print jobs that two pages belong to: the lock is held for a whole job."""
    items = [case.history.record(page)["item"] for page in pages]
    prints = case.history.select(Effect.DELIVER)
    return [at for at in prints.tolist() if case.history.record(at)["item"] in items]
