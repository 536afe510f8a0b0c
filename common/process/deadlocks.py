"""Do processes wait for each other in a circle, or for the lock of a dead one? Seen from outside.

Every process publishes what it waits for once it has waited longer than a tick, and the kernel
tells who has a System V semaphore, a record lock or a flock, and who has a mutex stands in it. Who
has a POSIX semaphore, a spinlock or an open file description lock nobody can tell: those deadlocks
end at the deadline of the wait.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from common import kinds
from common.history import record
from common.process import holding
from common.process.members import Member

# Seconds from one look to the next, and how long a wait must have lasted to be looked at.
PERIOD = 0.5

Waits = list[dict[str, Any]]

_IN_VAIN = re.compile(r"waited [0-9.]+ s for (.+), in vain")


def circle(waits: Waits) -> Waits:
    """Return those of ``waits`` that form a circle, in order; none when there is no circle."""
    by_process = {wait["process"]: wait for wait in waits}
    for start in waits:
        path: Waits = []
        wait: dict[str, Any] | None = start
        while wait is not None and wait not in path:
            path.append(wait)
            wait = by_process.get(wait["holder"])
        if wait is not None:
            return path[path.index(wait) :]
    return []


class Watch:
    """Looks at the waits of a run's processes; ``found`` are those of a deadlock once there is one.

    A circle counts when it is the same in two looks: every wait in it is the one that it was.
    ``abandoned`` are the waits for locks whose holder is dead and that nobody will ever give back,
    in the same way; ``holder`` is then who died in it. ``in_vain`` says of each process that gave
    up its wait for a lock what was to be seen then.
    """

    def __init__(self, addresses: Mapping[str, Any]) -> None:
        self.found: Waits = []
        self.abandoned: Waits = []
        self.in_vain: dict[str, holding.Look] = {}
        self._looks: dict[str, holding.Look] = {}
        self._locks = dict(_locks(addresses))
        self._last: list[tuple[str, int]] = []
        self._lost: list[tuple[str, int]] = []
        self._next = time.monotonic() + PERIOD

    def pause(self, most: float | None) -> float | None:
        """Return how long the launcher may sleep until the next look (s), ``most`` at most."""
        if not self._locks or self.found or self.abandoned:
            return most
        left = max(0.0, self._next - time.monotonic())
        return left if most is None else min(left, most)

    def look(self, members: Iterable[Member]) -> None:
        """Look, if it is time to; at the lock of whoever gave up its wait at once."""
        now = time.monotonic()
        if self._locks:
            self._look_for_holders(members)
        if not self._locks or self.found or self.abandoned or now < self._next:
            return
        self._next = now + PERIOD
        waits, since = self.waits(list(members))
        closed = circle(waits)
        seen = [(wait["process"], since[wait["process"]]) for wait in closed]
        if closed and sorted(seen) == self._last:
            self.found = waits
        self._last = sorted(seen)
        lost = [wait for wait in waits if wait["dead"]]
        seen = sorted((wait["process"], since[wait["process"]]) for wait in lost)
        if lost and seen == self._lost:
            self.abandoned = lost
        self._lost = seen
        for wait in waits:
            del wait["dead"]

    def waits(self, members: list[Member]) -> tuple[Waits, dict[str, int]]:
        """Return who waits for which lock and who has it, and since when each waits (ns)."""
        # The latest of those that had the same pid.
        known = {member.outcome.pid: member for member in members}
        latest = time.monotonic_ns() - int(PERIOD * 1e9)
        found: Waits = []
        times: dict[str, int] = {}
        for member in members:
            since, what = (0, "") if member.ended else holding.waits_for(member)
            if not 0 < since <= latest or what not in self._locks:
                continue
            lock, name = self._locks[what], member.outcome.name
            pid = kinds.load(kinds.LOCKS, lock.kind).holder(lock.at)
            holder = None if pid is None else known.get(pid)
            found.append(
                {
                    "process": name,
                    "step": "acquire",
                    "waits_for": what,
                    "holder": None if holder is None else holder.outcome.name,
                    "since": since,
                    "dead": holder is not None and holder.ended,
                }
            )
            times[name] = since
        return found, times

    def look_at(self, what: str, members: Iterable[Member]) -> holding.Look | None:
        """Return who has a lock, seen now or within the last period; None for no lock."""
        if what not in self._locks:
            return None
        last = self._looks.get(what)
        # Many may wait for one lock, and give up at the same time.
        if last is None or time.monotonic_ns() - last.at_ns > PERIOD * 1e9:
            self._looks[what] = holding.look(what, self._locks[what], list(members))
        return self._looks[what]

    def _look_for_holders(self, members: Iterable[Member]) -> None:
        for member in members:
            error, name = member.outcome.error, member.outcome.name
            if error is None or error["kind"] != "WaitExpired" or name in self.in_vain:
                continue
            said = _IN_VAIN.fullmatch(error["message"])
            seen = None if said is None else self.look_at(said[1], members)
            if seen is not None:
                self.in_vain[name] = seen


def _locks(addresses: Mapping[str, Any]) -> Iterator[tuple[str, holding.Lock]]:
    """Yield every lock that keeps somebody out, by the name under which it is waited for."""
    table, paper = addresses["table"], addresses["paper"]
    every: list[tuple[str, dict[str, Any], int]] = []
    if table is not None and len(table["locks"]) == 1:
        every.append(("the table's lock", table["locks"][0], record.TABLE_LOCK))
    elif table is not None:
        for row, (name, lock) in enumerate(zip(table["names"], table["locks"], strict=True)):
            every.append((f"the lock of {name}", lock, record.FIRST_ROW_LOCK + row))
    if paper is not None:
        every.append(("the paper's lock", paper["lock"], record.NO_LOCK))
    for name, channel in addresses["channels"].items():
        for owner, address in channel["at"].items():
            whose = f"channel {name} of {owner}" if owner else f"channel {name}"
            if "lock" in address:
                every.append((f"the lock of {whose}", address["lock"], record.NO_LOCK))
    for name, lock, number in every:
        if kinds.load(kinds.LOCKS, lock["kind"]).EXCLUDES:
            yield name, holding.Lock(lock["kind"], lock["at"], number)
