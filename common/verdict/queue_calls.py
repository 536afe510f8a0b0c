"""Which calls were made on each queue of jobs? One channel may be several queues.

Where receivers have channels of their own (``per``), each has a queue, and so has each priority of
a FIFO: there they are files of their own, looked into one after the other. Where senders have
connections, each has a queue.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from common.history.case import Case
from common.history.operations import Effect
from common.verdict.calls import Object, Seen, at, by_process, process_of, recorded
from common.verdict.delivery import traffic
from common.verdict.placement import Call
from common.verdict.sequential import NEVER
from common.verdict.sequential_queue import Grab, Job, Put, Queue, Take

# Kinds of channels that are one file for each priority.
APART = ("fifo",)


def queues(case: Case) -> Iterator[Object]:
    """Yield every queue of every channel."""
    jobs = traffic(case)
    places = case.history.objects[np.concatenate([jobs.offers, jobs.passes, jobs.takes])]
    for channel in np.unique(places).tolist():
        yield from _queues(case, channel)


class _Key(NamedTuple):
    """Which queue of a channel: whose it is, and of which priority; 0 where all share one."""

    owner: int
    level: int


def _queues(case: Case, channel: int) -> Iterator[Object]:
    """Yield the queues of one channel."""
    plan, levels = case.channel(channel), traffic(case).priorities(channel)
    per = plan is not None and plan.per is not None
    apart = plan is not None and plan.part.kind in APART
    mixed = not per and not traffic(case).one_line(channel)
    puts, takes = _puts(case, channel, levels), _takes(case, channel)
    urgency = {_item(call): call.act.level for call in puts}
    copies = Counter(map(_item, puts))
    senders = {_item(call): process_of(case, call) for call in puts} if mixed else {}
    takers: dict[int, list[int]] = {}
    found: dict[_Key, list[Call]] = {}
    for call in takes:
        item = _item(call)
        owner = process_of(case, call) if per else senders.get(item, 0)
        takers.setdefault(item, []).append(owner)
        found.setdefault(_Key(owner, urgency.get(item, 0) if apart else 0), []).append(call)
    for call in puts:
        level, act = (call.act.level, replace(call.act, level=0)) if apart else (0, call.act)
        # Only who took a job tells whose queue it stood in; of a copy, not even that.
        homes = list(dict.fromkeys(takers.get(_item(call), [])))
        if not per:
            homes = [senders.get(_item(call), 0)]
        if per and copies[_item(call)] > 1:
            act = replace(act, end=NEVER)
        for home in homes if act.end == NEVER else homes[:1]:
            found.setdefault(_Key(home, level), []).append(call._replace(act=act))
    lines, drained = 1 if apart else levels, _drained(case) and not per
    for key, calls in sorted(found.items()):
        name = f"the queue {plan.name if plan else channel}"
        whose = case.history.processes[key.owner].name if per or mixed else ""
        name += f" of {whose}" if per else f" from {whose}" if mixed else ""
        name += f", priority {key.level}" if apart and levels > 1 else ""
        queue = Queue(lines, drained, case.job, list(_unrecorded_puts(case, calls, lines)))
        threads = [*by_process(case, calls), *_unrecorded_takes(case)]
        yield Object(name, queue, threads)


def _puts(case: Case, channel: int, levels: int) -> list[Call]:
    def put(seen: Seen) -> Put:
        level = int(min(max(seen.v2, 0), levels - 1))
        return Put(level, Job(seen.item, seen.v0, seen.v1), 0, 0)

    ways = (Effect.OFFER, Effect.PASS)
    calls = recorded(case, at(case, channel, *ways), put)
    # What did not end says no more than the checksum that it declares.
    flying = at(case, channel, *ways, done=False)
    calls += recorded(case, flying, lambda seen: put(seen._replace(v1=seen.v0)))
    return [call._replace(act=_timed(case, call)) for call in calls]


def _timed(case: Case, call: Call) -> Put:
    put: Put = call.act
    sender, turn = process_of(case, call), call.position
    return replace(put, begin=call.begin, end=call.end, sender=sender, turn=turn)


def _takes(case: Case, channel: int) -> list[Call]:
    ended, flying = (at(case, channel, Effect.TAKE, done=done) for done in (True, False))
    return [
        *recorded(case, ended, lambda seen: Take(Job(seen.item, seen.v0, seen.v1))),
        *recorded(case, flying, lambda seen: Grab(seen.item)),
    ]


def _item(call: Call) -> int:
    item: int = call.act.item if isinstance(call.act, Grab) else call.act.job.item
    return item


def _drained(case: Case) -> bool:
    """Tell whether every process came to its end: who receives goes on until nothing is left."""
    ended = all(each.phase == "done" and not each.guest for each in case.outcome.processes)
    return ended and case.outcome.interrupted is None


def _dead(case: Case) -> set[int]:
    """Return who may have put or taken a job that it did not come to record."""
    return {each.index for each in case.outcome.processes if each.phase != "done"}


def _unrecorded_takes(case: Case) -> Iterator[list[Call]]:
    """Yield a take for each process that died: of whatever was next, some time after its last."""
    dead = _dead(case)
    for process in case.history.processes:
        if process.index in dead:
            last = round(float(process.records["left"].max(initial=0)) * 1e9)
            yield [Call(last, NEVER, Grab(0), -1)]


def _unrecorded_puts(case: Case, calls: list[Call], lines: int) -> Iterator[Put]:
    """Yield the jobs that were taken and that only somebody who died can have put there."""
    if _dead(case):
        put = {_item(call) for call in calls if isinstance(call.act, Put)}
        jobs = {call.act.job for call in calls if isinstance(call.act, Take)}
        for job in sorted(job for job in jobs if job.item not in put):
            yield from (Put(line, job, 0, NEVER) for line in range(lines))
