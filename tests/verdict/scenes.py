"""Builds histories for tests: records written through the real recorder, then read back."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.history import store
from common.history.case import Case
from common.history.outcome import Outcome, ProcessOutcome
from common.history.record import HELD_FIRST, HELD_LAST, NO_LOCK, OBJECT, TABLE_LOCK
from common.history.recorder import Recorder
from common.scenario.faults import FaultPlan, Trigger
from common.scenario.plan import (
    ChannelPlan,
    Deadlines,
    Expect,
    PaperPlan,
    Part,
    Plan,
    ProcessPlan,
    TablePlan,
)
from exchange import operations as exchange
from spooler import operations as spooler

OPERATIONS = {each.code: each for each in (*exchange.OPERATIONS, *spooler.OPERATIONS)}
GRAIN = 2.0**-30
GATE = 1_000_000
RATES = (3.73, 3.72)


@dataclass
class Scene:
    """A run in the making. Times are ns since the gate."""

    directory: Path
    rows: tuple[str, ...] = ("DOLLAR",)
    stock: float = 10000.0
    lock: str = "sysv_sem"
    channels: list[ChannelPlan] = field(default_factory=list)
    paper: list[str] | None = None
    paper_lock: str = "sysv_sem"
    store_kind: str = "sysv_shm"
    recorders: dict[str, Recorder] = field(default_factory=dict)
    outcomes: dict[str, ProcessOutcome] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.final = [self.stock] * len(self.rows)
        self.rates = [RATES] * len(self.rows)
        (self.directory / store.HISTORY).mkdir(parents=True)

    def recorder(self, name: str, role: str = "trader") -> Recorder:
        """Return the recorder of a process, made when it is first named."""
        if name not in self.recorders:
            index = len(self.recorders)
            path = self.directory / store.HISTORY / f"{name}.rec"
            self.recorders[name] = Recorder(path, name, role, index, 256)
            self.outcomes[name] = ProcessOutcome(
                name, role, "exchange", index, 1000 + index, exit=0, phase="done",
                # Whoever is done has said something: here nothing that a check counts.
                summary={"seconds": 0.0},
            )  # fmt: skip
        return self.recorders[name]

    def record(
        self,
        process: str,
        code: int,
        place: int,
        times: tuple[int, int, int],
        values: Sequence[float],
        item: int = 0,
        *,
        refused: bool = False,
        held: tuple[int, int] | None = None,
    ) -> None:
        """Write one operation; ``times`` are asked, entered and left, the last 0 for in flight.

        ``held`` are the locks at its first and last access; the table's own when not given.
        """
        recorder = self.recorder(process)
        asked, entered, left = times
        if held is None:
            held = (TABLE_LOCK, TABLE_LOCK) if self.lock != "none" else (NO_LOCK, NO_LOCK)
        if OPERATIONS[code].place == "table":
            place += (held[0] * HELD_FIRST + held[1] * HELD_LAST) // OBJECT
        cell = recorder.begin(code, place, item, GATE + asked, GATE + entered, values[0])
        if refused:
            recorder.refuse(cell)
        if left:
            v1, v2, v3, v4 = (*values[1:], 0.0, 0.0, 0.0, 0.0)[:4]
            recorder.end(cell, v1, v2, v3, v4, GATE + left)
            if code == exchange.SET_RATES:
                self.rates[place % OBJECT] = (values[0], v1)

    def trade(
        self,
        process: str,
        amount: float,
        read: float,
        times: tuple[int, int, int],
        row: int = 0,
        checked: float | None = None,
        held: tuple[int, int] | None = None,
    ) -> float:
        """Record a purchase (a sale when ``amount`` is negative) and return what it wrote."""
        written = read + amount
        values = (abs(amount), read if checked is None else checked, RATES[0], read, written)
        code = exchange.BUY if amount > 0 else exchange.SELL
        self.record(process, code, row, times, values, held=held)
        self.final[row] = written
        return written

    def job(
        self,
        process: str,
        code: int,
        item: int,
        times: tuple[int, int, int],
        *,
        channel: int = 0,
        body: float = 7.0,
        declared: float = 7.0,
        priority: int = 0,
        position: float = 0.0,
    ) -> None:
        """Record that a job was offered, taken, passed on or printed."""
        values = (declared, body, float(priority), position, position + 1)
        self.record(process, code, channel, times, values, item)

    def plan(self) -> Plan:
        """Return the plan that the run so far would have had."""
        processes = [
            ProcessPlan(o.name, o.role, o.role, o.system, o.index, 1, {}, {}, "fork")
            for o in self.outcomes.values()
        ]
        rows = [[*RATES, self.stock] for _ in self.rows]
        table = TablePlan(Part(self.store_kind), Part(self.lock), list(self.rows), rows)
        paper = None if self.paper is None else PaperPlan(Part(self.paper_lock))
        return Plan(
            "test", "test.yaml", "only", 1, ["exchange", "spooler"], table, self.channels, paper,
            [], processes, Deadlines(), Expect(), faults=self.faults(),
        )  # fmt: skip

    def faults(self) -> list[FaultPlan]:
        """Return a fault for each process that was struck."""
        struck = [each.name for each in self.outcomes.values() if each.struck is not None]
        return [FaultPlan("kill", {"signal": "KILL"}, Trigger(name, at=1)) for name in struck]

    def case(self, **facts: Any) -> Case:
        """Store the run, read it back and return it; ``facts`` change its outcome."""
        outcome = Outcome(
            gate_ns=GATE,
            ended_ns=GATE + 10**9,
            processes=list(self.outcomes.values()),
            initial=[[*RATES, self.stock] for _ in self.rows],
            final=[[*pair, stock] for pair, stock in zip(self.rates, self.final, strict=False)],
            paper=None if self.paper is None else "paper.txt",
            faults=[
                {"kind": "kill", "process": each.name, "step": "", "number": 0, "at_ns": GATE}
                for each in self.outcomes.values()
                if each.struck is not None
            ],
        )
        for name, value in facts.items():
            setattr(outcome, name, value)
        if self.paper is not None:
            (self.directory / "paper.txt").write_text("".join(f"{line}\n" for line in self.paper))
        store.write_plan(self.directory, self.plan())
        store.write_outcome(self.directory, outcome)
        return store.load_case(self.directory, OPERATIONS)


# What each page says, where a scene has pages.
TEXT = "text"


def checksum(job: int) -> float:
    """Return the checksum of a job that says TEXT."""
    return float(zlib.crc32(TEXT.encode() + job.to_bytes(8, "little")))


def ring(index: int = 0, name: str = "jobs", lock: str = "posix_sem") -> ChannelPlan:
    """Return a ring in shared memory."""
    return ChannelPlan(name, index, Part("ring"), Part(lock), 64)


def queue(index: int = 0, name: str = "jobs", priorities: int = 1) -> ChannelPlan:
    """Return a System V queue."""
    part = Part("sysv_queue", {"priorities": priorities})
    return ChannelPlan(name, index, part, Part("none"), 64)


def item(maker: int, sequence: int) -> int:
    """Return the name of a process's job, as the processes make it."""
    return maker << 32 | sequence


@dataclass
class Simulated:
    """What really happened in a simulated run: which trades were lost, and by how much."""

    lost: set[tuple[str, int]]
    missing: dict[str, float]
    below: int


def simulate(
    scene: Scene,
    programs: Sequence[Sequence[tuple[int, float]]],
    schedule: Iterator[int],
    ticks: Iterator[int],
) -> Simulated:
    """Let traders (lists of row and signed amount) take their steps in the scheduled order.

    ``schedule`` says who goes next (modulo those who still have something to do), ``ticks`` by
    how many nanoseconds the clock moves before each step: 0 makes equal stamps.
    """
    stocks = [scene.stock] * len(scene.rows)
    # Which trades led to the present value, as a linked list: (trade, rest).
    lineage: list[Any] = [None] * len(scene.rows)
    now = 10
    trades: dict[tuple[str, int], tuple[int, float]] = {}
    below = 0

    def trader(number: int, program: Sequence[tuple[int, float]]) -> Iterator[None]:
        nonlocal below
        name = f"trader-{number + 1}"
        scene.recorder(name)
        for sequence, (row, amount) in enumerate(program, start=1):
            asked = now
            yield
            entered = now
            yield
            checked = stocks[row]
            if checked + amount < 0:
                values = (abs(amount), checked)
                code = exchange.BUY if amount > 0 else exchange.SELL
                scene.record(name, code, row, (asked, entered, now), values, refused=True)
                continue
            yield
            read, parents = stocks[row], lineage[row]
            yield
            stocks[row] = read + amount
            lineage[row] = ((name, sequence), parents)
            below += amount < 0 and stocks[row] < 0
            yield
            trades[name, sequence] = (row, amount)
            scene.trade(name, amount, read, (asked, entered, now), row, checked)

    waiting = [trader(number, program) for number, program in enumerate(programs)]
    while waiting:
        now += next(ticks)
        turn = waiting[next(schedule) % len(waiting)]
        if next(turn, "over") == "over":
            waiting.remove(turn)
    scene.final = stocks
    survivors = set()
    for chain in lineage:
        while chain is not None:
            trade, chain = chain
            survivors.add(trade)
    missing = {
        name: scene.stock + sum(a for r, a in trades.values() if r == row) - stocks[row]
        for row, name in enumerate(scene.rows)
    }
    return Simulated(set(trades) - survivors, missing, below)
