"""Looks at a run a few times a second while it is supervised, and draws what it sees."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.errors import LabError
from common.history import record
from common.history.operations import Effect, Operation
from common.process import addresses as places
from common.process.deadlocks import Watch, circle
from common.process.members import Member
from common.report.live.frame import Picture, Row, drawn
from common.report.live.screen import Screen
from common.report.text import coloured
from common.scenario.plan import Plan
from common.verdict.wording import number

if TYPE_CHECKING:
    from common.report.live.sightings import Sightings
    from common.report.live.tail import Tail

# Seconds from one look to the next, and those over which a rate is taken.
PERIOD = 0.2
RATE_OVER = 1.0
# Seconds for which everybody must have waited before it is told that nobody moves.
STANDSTILL = 1.0
# Records looked at in one look at most, by all processes together: a million a second.
BUDGET = 200_000

_TICKS = os.sysconf("SC_CLK_TCK")


class View:
    """The live table of one run.

    ``operations`` are those of all systems by their code, ``fields`` name the table's columns.
    ``begin`` when the gate was opened, ``look`` as often as anything happens, ``end`` before the
    objects are removed.
    """

    def __init__(self, operations: Mapping[int, Operation], fields: Sequence[str]) -> None:
        self._operations = operations
        self._fields = fields
        self._screen = Screen()
        self._next: float | None = None

    def begin(self, plan: Plan, addresses: dict[str, Any], gate_ns: int) -> None:
        """Start to look at the run of ``plan``, let go at ``gate_ns`` (CLOCK_MONOTONIC)."""
        self._plan, self._addresses, self._gate_ns = plan, addresses, gate_ns
        self._watch = Watch(addresses)
        self._seen: dict[str, _Seen] = {}
        self._sightings: Sightings | None = None
        self._next = time.monotonic() + PERIOD

    def pause(self, most: float | None) -> float | None:
        """Return how long the launcher may sleep until the next look (s), ``most`` at most."""
        if self._next is None:
            return most
        left = max(0.0, self._next - time.monotonic())
        return left if most is None else min(left, most)

    def look(self, members: Iterable[Member]) -> None:
        """Look and draw, if it is time to."""
        if self._next is None or time.monotonic() < self._next:
            return
        picture = self.picture(list(members))
        if self._screen.ready():
            columns, lines = self._screen.size()
            self._screen.draw(drawn(picture, columns, lines, colour=coloured(sys.stderr)))
        self._next = time.monotonic() + PERIOD

    def end(self) -> None:
        """Stop looking, and leave the terminal as it was."""
        self._next = None
        self._screen.close()

    def picture(self, members: Sequence[Member]) -> Picture:
        """Return the run as it is now, with whatever was recorded since the last call."""
        # Imported late: numpy, which nobody forks with and a short run never needs.
        from common.report.live.sightings import Sightings
        from common.report.live.tail import Tail

        table = self._plan.table
        if self._sightings is None:
            opening = [] if table is None else table.rows
            names = [] if table is None else table.names
            self._sightings = Sightings(self._operations, names, opening)
        now = time.monotonic()
        share = max(1, BUDGET // max(1, len(members)))
        news = {}
        for member in members:
            name = member.outcome.name
            if name not in self._seen:
                self._seen[name] = _Seen(Tail(member.record))
            news[name] = self._seen[name].tail.take(share)
        self._sightings.take(news)
        skipped = sum(seen.tail.skipped for seen in self._seen.values())
        return Picture(
            title=f"{self._plan.scenario} · {self._plan.variant} · seed {self._plan.seed}",
            seconds=(time.monotonic_ns() - self._gate_ns) / 1e9,
            rows=[self._row(member, now) for member in members],
            fields=self._fields,
            table=self._table(),
            depth=[
                (each.name, None if skipped else self._sightings.depth[each.index])
                for each in self._plan.channels
            ],
            findings=[*self._sightings.told(), *_crashes(members), *self._standstill(members)],
            skipped=skipped,
        )

    def _row(self, member: Member, now: float) -> Row:
        outcome = member.outcome
        seen, sightings = self._seen[outcome.name], self._sightings
        assert sightings is not None
        letter, used = ("", outcome.cpu_s) if member.ended else _usage(outcome.pid)
        rate, cpu = seen.rates(now, used)
        return Row(
            outcome.name, outcome.role, seen.tail.done, rate, sightings.refused[outcome.name], cpu,
            self._now(member, seen.tail, letter),
        )  # fmt: skip

    def _now(self, member: Member, tail: Tail, letter: str) -> str:
        if member.ended:
            return _end(member) or "ended"
        if letter in ("T", "t"):
            return "stopped by a signal"
        since, what = tail.waiting()
        if since:
            return f"waits {_ago(since):.1f} s for {what}"
        begun, last = self._told(*tail.begun()), self._told(*tail.last())
        return begun or (f"after {last}" if last else "")

    def _told(self, kind: int, value: float) -> str:
        """Return an operation in words; "" for one that is unknown."""
        operation = self._operations.get(kind % record.OBJECT)
        if operation is None:
            return ""
        amount = f" {number(value)}" if operation.effect is Effect.UPDATE else ""
        place = self._place(operation, kind // record.OBJECT % 256)
        return f"{operation.name}{amount} {place}".rstrip()

    def _place(self, operation: Operation, at: int) -> str:
        table, channels = self._plan.table, self._plan.channels
        if operation.place == "table" and table is not None and at < len(table.names):
            return table.names[at]
        if operation.place == "channel" and at < len(channels):
            return channels[at].name
        return ""

    def _table(self) -> list[tuple[str, Sequence[float]]]:
        address = self._addresses["table"]
        if self._plan.table is None or address is None:
            return []
        try:
            rows = places.read_rows(self._plan, address)
        except LabError:
            # It was removed from outside; the run's outcome will say so.
            return []
        return list(zip(self._plan.table.names, rows, strict=True))

    def _standstill(self, members: Sequence[Member]) -> list[tuple[str, str]]:
        """Tell of a circle of waits; else of a moment in which everybody waits for something."""
        living = [m for m in members if not (m.ended or m.outcome.guest)]
        waits = [(m.outcome.name, *self._seen[m.outcome.name].tail.waiting()) for m in living]
        latest = time.monotonic_ns() - int(STANDSTILL * 1e9)
        if any(0 < since <= latest for _, since, _ in waits):
            closed = circle(self._watch.waits(list(members))[0])
            if closed:
                told = "; ".join(
                    f"{wait['process']} waits for {wait['waits_for']}, which {wait['holder']} has"
                    for wait in closed
                )
                return [("deadlock", told)]
        if waits and all(0 < since <= latest for _, since, _ in waits):
            told = "; ".join(f"{name} waits for {what}" for name, _, what in waits)
            return [("process_hung", f"nobody moves: {told}")]
        return []


class _Seen:
    """One process between two looks: its records, and what it had done and used before."""

    def __init__(self, tail: Tail) -> None:
        self.tail = tail
        self._points: deque[tuple[float, int, float]] = deque()

    def rates(self, now: float, used: float) -> tuple[float, float]:
        """Return operations a second and the share of a CPU over the last second or so."""
        points = self._points
        points.append((now, self.tail.done, used))
        while len(points) > 2 and points[1][0] <= now - RATE_OVER:
            points.popleft()
        then, done, before = points[0]
        span = max(now - then, 1e-9)
        return (self.tail.done - done) / span, max(0.0, used - before) / span


def _crashes(members: Sequence[Member]) -> list[tuple[str, str]]:
    return [
        ("process_crashed", f"{member.outcome.name}: {end}")
        for member in members
        if member.ended and not member.outcome.ended_by_launcher and (end := _end(member))
    ]


def _end(member: Member) -> str:
    """Return how a process ended, "" when well."""
    outcome = member.outcome
    if outcome.signal is not None:
        return f"killed by {signal.Signals(outcome.signal).name}"
    return f"ended with status {outcome.exit}" if outcome.exit else ""


def _ago(since: int) -> float:
    return max(0.0, (time.monotonic_ns() - since) / 1e9)


def _usage(pid: int) -> tuple[str, float]:
    """Return the kernel's state letter of a process and its CPU time (s); "" when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "", 0.0
    fields = text.rpartition(")")[2].split()
    return fields[0], (int(fields[11]) + int(fields[12])) / _TICKS
