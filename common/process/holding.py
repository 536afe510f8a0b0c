"""Who had a lock that somebody waited for in vain, and what has become of that process.

The kernel tells of a System V semaphore, a record lock, a flock and a mutex. Of any other the
histories tell afterwards: whose operation under this lock had begun by then, and was not over.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from common import kinds
from common.history import record
from common.process import inspect
from common.process.members import Member


class Lock(NamedTuple):
    """A lock of a run: its kind and address, and its number in records (0: they do not name it)."""

    kind: str
    at: dict[str, Any]
    number: int


@dataclass
class Look:
    """What was seen when a wait for a lock was over, at ``at_ns`` (CLOCK_MONOTONIC).

    ``holder`` is the pid that the kernel named, None where it does not tell; ``states`` says of
    every process that lived and did not wait for the lock how it stood, by its pid.
    """

    what: str
    lock: Lock
    at_ns: int
    holder: int | None
    states: dict[int, str] = field(default_factory=dict)


def look(what: str, lock: Lock, members: Sequence[Member]) -> Look:
    """Look who has a lock now, and how everybody stands who may have it."""
    holder = kinds.load(kinds.LOCKS, lock.kind).holder(lock.at)
    found = Look(what, lock, time.monotonic_ns(), holder)
    for member in members:
        pid = member.outcome.pid
        if not member.ended and (pid == holder or waits_for(member)[1] != what):
            found.states[pid] = inspect.state(pid)
    return found


def waits_for(member: Member) -> tuple[int, str]:
    """Return since when (ns) a process waits, and for what; 0 where it does not."""
    try:
        return inspect.waiting(member.record)
    except (OSError, struct.error):
        # A guest that has just joined has no history yet.
        return 0, ""


def told(seen: Look, members: Sequence[Member], in_vain: Collection[str]) -> str:
    """Return who had the lock, and what has become of that process, when the run is over.

    ``in_vain`` names the processes that gave up a wait for it.
    """
    if seen.holder is not None:
        # The latest of those that had the same pid.
        known = {member.outcome.pid: member for member in members}
        by = getattr(kinds.load(kinds.LOCKS, seen.lock.kind), "ASKED_BY", "the kernel")
        if seen.holder not in known:
            return f"process {seen.holder} had it ({by}), which is none of this run's"
        return f"{_who(known[seen.holder], seen)} had it ({by})"
    holders = [each for each in members if _had(each, seen, in_vain)]
    if not holders:
        return "who had it nobody can tell"
    one = "" if len(holders) == 1 else "one of these "
    its = "its operation under the lock was" if len(holders) == 1 else "their operations were"
    who = "; ".join(_who(each, seen) for each in holders)
    return f"{one}{who} had it, as the histories say: {its} not over"


def _who(member: Member, seen: Look) -> str:
    outcome = member.outcome
    state = seen.states.get(outcome.pid) or (
        f"it {member.death()}" if member.ended else inspect.state(outcome.pid)
    )
    return f"{outcome.name} (pid {outcome.pid}, {state})"


def _had(member: Member, seen: Look, in_vain: Collection[str]) -> bool:
    """Say whether an operation of a process under the lock was not over when the wait was."""
    if not seen.lock.number:
        return False
    for cells in _around(member.record, seen.at_ns / 1e9):
        if not _under(cells, seen.lock.number) or cells[record.ENTERED] * 1e9 > seen.at_ns:
            continue
        if cells[record.LEFT]:
            return True
        # It never ended. Many are declared at once: whoever waits has not begun the next one.
        waits = waits_for(member)[1] == seen.what or member.outcome.name in in_vain
        if not waits and member.outcome.phase != "done":
            return True
    return False


def _under(cells: Sequence[float], lock: int) -> bool:
    kind = cells[record.KIND]
    # A program that is not ours may have written anything there.
    if not 0 < kind <= record.LARGEST_KIND:
        return False
    held = (int(kind) // record.HELD_FIRST % 256, int(kind) // record.HELD_LAST % 256)
    return lock in held


def _around(path: Path, moment: float) -> Iterator[Sequence[float]]:
    """Yield the first record that was not over at ``moment`` (s), and its second half."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return
    try:
        count = (os.fstat(file).st_size - record.HEADER_SIZE) // record.RECORD_SIZE
        # Records end one after the other: those that are over stand first.
        low, high = 0, max(0, count)
        while low < high:
            middle = (low + high) // 2
            if 0 < _read(file, middle)[record.LEFT] < moment:
                low = middle + 1
            else:
                high = middle
        for number in range(low, min(low + 2, count)):
            cells = _read(file, number)
            if number == low or cells[record.KIND] >= record.SECOND_HALF:
                yield cells
    finally:
        os.close(file)


def _read(file: int, number: int) -> Sequence[float]:
    at = record.HEADER_SIZE + number * record.RECORD_SIZE
    return record.RECORD.unpack(os.pread(file, record.RECORD_SIZE, at))
