"""Who waited how long for a lock, and how often others got it meanwhile."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from common import kinds
from common.history import record
from common.history.case import Case
from common.history.merge import History
from common.history.operations import Effect
from common.history.outcome import ProcessOutcome
from common.history.scratch import CHUNK
from common.verdict.happens_before import locks_held
from common.verdict.race_causes import lock_name

# The paper's lock, beside the numbers of those of the table.
PAPER = 1 << 8

# Of more waits than these only the longest are looked at.
MOST = 1000

_HUNG = re.compile(r"waiting for (.+) for ([0-9.]+) s")
_EXPIRED = re.compile(r"waited ([0-9.]+) s for (.+), in vain")


class Wait(NamedTuple):
    """One wait for a lock. Times in ns, CLOCK_MONOTONIC; ``position`` is None if it was in vain."""

    length: int
    process: str
    lock: int
    asked: int
    position: int | None

    @property
    def until(self) -> int:
        """When it was over."""
        return self.asked + self.length


def waits(case: Case, least: int) -> list[Wait]:
    """Return the waits of at least ``least`` ns, and in any case the longest; that comes first."""
    found = sorted(_done(case, least), reverse=True, key=lambda wait: wait.length)
    found = sorted([*found[:MOST], *_in_vain(case)], reverse=True, key=lambda wait: wait.length)
    return [wait for at, wait in enumerate(found) if not at or wait.length >= least]


def overtakers(case: Case, wait: Wait) -> dict[str, int]:
    """Return how often each other process got the lock during a wait, the most frequent first."""
    history = case.history
    found = {}
    for which, process in enumerate(history.processes):
        if process.name == wait.process:
            continue
        records = process.records
        # Who is inside when the wait begins has not overtaken, and leaves later.
        first = _until(records, wait.asked)
        last = min(_until(records, wait.until) + 1, len(records))
        count = 0
        for begin in range(first, last, CHUNK):
            end = min(begin + CHUNK, last)
            entered = history.cells("entered", which, slice(begin, end))
            inside = (entered > wait.asked) & (entered < wait.until)
            inside &= _locks(case, which, begin, end) == wait.lock
            count += int(np.count_nonzero(inside))
        if count:
            found[process.name] = count
    return dict(sorted(found.items(), key=lambda each: -each[1]))


def overtaken(case: Case, several: Sequence[Wait]) -> npt.NDArray[np.int64]:
    """Return for each of several waits how often others got the lock during it.

    Each record is looked at once, however many the waits are.
    """
    totals = np.zeros(len(several), np.int64)
    if not several:
        return totals
    asked, until = (
        np.array([getattr(each, name) for each in several]) for name in ("asked", "until")
    )
    wanted = np.array([each.lock for each in several])
    history, names = case.history, np.array([each.process for each in several])
    for which, process in enumerate(history.processes):
        records = process.records
        first = _until(records, int(asked.min()))
        last = min(_until(records, int(until.max())) + 1, len(records))
        for begin in range(first, last, CHUNK):
            end = min(begin + CHUNK, last)
            entered = history.cells("entered", which, slice(begin, end))
            locks = _locks(case, which, begin, end)
            for lock in np.unique(locks):
                mine = np.flatnonzero((wanted == lock) & (names != process.name))
                at = np.sort(entered[locks == lock])
                totals[mine] += np.searchsorted(at, until[mine], "left")
                totals[mine] -= np.searchsorted(at, asked[mine], "right")
    return totals


def wait_at(case: Case, position: int) -> Wait | None:
    """Return how long an operation waited for its lock; None when it took none, or at once."""
    history, found = case.history, case.history.record(position)
    which = bisect_right(history.bounds, position) - 1
    at = position - history.bounds[which]
    lock = int(_locks(case, which, at, at + 1)[0])
    length = found["entered"] - found["asked"]
    if lock == record.NO_LOCK or not found["asked"] or length <= 0:
        return None
    return Wait(length, case.process(position), lock, found["asked"], position)


def holders(case: Case, wait: Wait) -> dict[str, int]:
    """Return how often each other process had the lock during a wait, in the order they had it.

    Only those whose records say that they were inside; who is about to give it back is not.
    """
    history = case.history
    times: dict[str, int] = {}
    first: dict[str, int] = {}
    for which, process in enumerate(history.processes):
        if process.name == wait.process:
            continue
        begin, end = (_until(process.records, moment) for moment in (wait.asked, wait.until))
        # Who was still inside then left later; the pages of a print come before it.
        while end < len(process.records):
            end += 1
            if history.operation(history.bounds[which] + end - 1).effect is not Effect.PAGE:
                break
        for start in range(begin, end, CHUNK):
            stop = min(start + CHUNK, end)
            entered = history.cells("entered", which, slice(start, stop))
            inside = (entered > 0) & (entered < wait.until)
            inside &= _locks(case, which, start, stop) == wait.lock
            if inside.any():
                first.setdefault(process.name, int(entered[inside].min()))
                times[process.name] = times.get(process.name, 0) + int(np.count_nonzero(inside))
    return {who: times[who] for who in sorted(times, key=first.__getitem__)}


def name(case: Case, lock: int) -> str:
    """Return what people call a lock."""
    return "the paper's lock" if lock == PAPER else lock_name(case, lock)


def _until(records: npt.NDArray[Any], moment: int) -> int:
    """Return how many records had ended at a moment (ns); a search, as they are in that order."""
    whole = len(records) - bool(len(records) and records["left"][-1] == 0)
    left = records["left"]
    return bisect_right(range(whole), moment / 1e9, key=lambda at: float(left[at]))


def _locks(case: Case, which: int, begin: int, end: int) -> npt.NDArray[np.int64]:
    """Return the lock that some records of one process had waited for; 0 where there was none."""
    history = case.history
    first, _ = locks_held(history, which, begin, end)
    found: npt.NDArray[np.int64] = first.astype(np.int64)
    if _paper_is_guarded(case):
        start = history.bounds[which]
        printed = np.isin(history.codes[start + begin : start + end], _prints(history))
        found[printed] = PAPER
    return found


def _done(case: Case, least: int) -> Iterator[Wait]:
    """Yield the waits that came to an end."""
    history = case.history
    if not history.locked and not _paper_is_guarded(case):
        return
    longest = 0.0
    for which, begin, end in history.slices():
        records = history.processes[which].records[begin:end]
        waited: npt.NDArray[np.float64] = records["entered"] - records["asked"]
        waited[records["left"] == 0] = 0
        # Most never come near: the locks of the few that do are looked up.
        near = np.flatnonzero(waited > min(longest, least / 1e9))
        if not len(near):
            continue
        locks = _locks(case, which, begin, end)[near]
        near, locks = near[locks != record.NO_LOCK], locks[locks != record.NO_LOCK]
        chosen = {int(at) for at in np.flatnonzero(waited[near] >= least / 1e9)}
        if len(near) and waited[near].max() > longest:
            chosen.add(int(np.argmax(waited[near])))
            longest = float(waited[near].max())
        for at in chosen:
            position = history.bounds[which] + begin + int(near[at])
            found = history.record(position)
            length = found["entered"] - found["asked"]
            yield Wait(length, case.process(position), int(locks[at]), found["asked"], position)


def _in_vain(case: Case) -> Iterator[Wait]:
    """Yield the waits at which a deadline found a process."""
    locks = [record.TABLE_LOCK, PAPER]
    rows = case.plan.table.names if case.plan.table else []
    locks += [record.FIRST_ROW_LOCK + row for row in range(len(rows))]
    numbers = {name(case, lock): lock for lock in locks}
    for process in case.outcome.processes:
        what, seconds, until = _said(case, process)
        if what in numbers:
            length = round(float(seconds) * 1e9)
            yield Wait(length, process.name, numbers[what], until - length, None)


def _said(case: Case, process: ProcessOutcome) -> tuple[str, str, int]:
    """Return what a process waited for, how long (s), and until when (ns)."""
    if process.hung is not None and (found := _HUNG.search(process.hung)):
        return found[1], found[2], case.outcome.ended_ns
    error = process.error or {}
    if error.get("kind") == "WaitExpired" and (found := _EXPIRED.search(error["message"])):
        # It asked when it had done what it did before.
        ends = [
            round(float(each.records["left"].max()) * 1e9)
            for each in case.history.processes
            if each.name == process.name and len(each.records)
        ]
        asked = max([case.outcome.gate_ns, *ends])
        return found[2], found[1], asked + round(float(found[1]) * 1e9)
    return "", "0", 0


def _paper_is_guarded(case: Case) -> bool:
    paper = case.plan.paper
    return paper is not None and kinds.load(kinds.LOCKS, paper.lock.kind).EXCLUDES


def _prints(history: History) -> list[int]:
    """Return the operations that are done under the paper's lock."""
    return [
        code
        for code, operation in history.operations.items()
        if operation.place == "paper" and operation.effect is Effect.DELIVER
    ]
