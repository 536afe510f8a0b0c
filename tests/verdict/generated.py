"""Runs that are right by construction, drawn by hypothesis: an exchange and a spooler.

Critical sections follow one another and operations wait for each other at random; what is wrong
with a run, a test puts there itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st

from common.history.case import Case
from common.verdict import linearizability
from common.verdict.finding import Finding, Verdict
from exchange.operations import READ_ROW, SELL, SET_RATES
from spooler.operations import PAGE, PASS, PRINT, PUT, TAKE
from tests.verdict.scenes import GRAIN, RATES, TEXT, Scene, checksum, item, queue


def harm(verdict: Verdict) -> dict[str, Finding]:
    """Return the findings by kind, but for races."""
    return {each.kind: each for each in verdict.findings if each.kind != "data_race"}


def orders(case: Case) -> set[str]:
    """Return what the search for an order says of the rows and queues."""
    return {each.answer for each in linearizability.check(case)}


ROWS = ("DOLLAR", "EURO", "POUND")
OPENING = 1000.0  # of a trader's purse


@dataclass(frozen=True)
class Act:
    """One operation at the table: ``ahead`` is how long it waits, ``gap`` what passes before it."""

    who: int
    what: str
    row: int
    amount: int
    ahead: int
    length: int
    gap: int


WHATS = ("buy", "sell", "buy", "sell", "refuse", "set", "look")

acts = st.lists(
    st.builds(
        Act,
        st.integers(0, 3),
        st.sampled_from(WHATS),
        st.integers(0, len(ROWS) - 1),
        st.integers(1, 9),
        st.integers(0, 30),
        st.integers(0, 9),
        st.integers(0, 3),
    ),
    min_size=3,
    max_size=15,
)


class Office:
    """Traders, setters and auditors at one table, one at a time inside."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.now = 100
        self.trades = 0
        # All values that each stock ever had, with when they were written and what was added.
        self.values: list[list[tuple[float, int, float]]] = [
            [(scene.stock, 50, 0.0)] for _ in scene.rows
        ]
        self.pairs = [[RATES] for _ in scene.rows]
        self.lefts: dict[str, int] = {}
        self.counts: dict[str, dict[str, int]] = {}
        self.purses: dict[str, float] = {}

    def stock(self, row: int) -> float:
        """Return the present stock of a row."""
        return self.values[row][-1][0]

    def name(self, amount: int) -> float:
        """Return an amount that no sum of the others equals: it has a bit of its own."""
        self.trades += 1
        return amount + 2.0**self.trades * GRAIN

    def times(self, who: str, ahead: int, length: int, gap: int = 0) -> tuple[int, int, int]:
        """Return when an operation asks, enters and leaves; it enters when all others have left."""
        entered = self.now + gap
        asked = max(self.lefts.get(who, 0), entered - ahead)
        self.now = self.lefts[who] = entered + length
        return asked, entered, self.now

    def trade(
        self,
        who: str,
        amount: float,
        row: int,
        times: tuple[int, int, int],
        read: float | None = None,
        checked: float | None = None,
    ) -> None:
        """Record a trade, of what is there unless it ``read`` something else."""
        read = self.stock(row) if read is None else read
        written = self.scene.trade(who, amount, read, times, row, checked)
        self.values[row].append((written, times[2], amount))
        self.count(who, "done")
        rest = self.purses.get(who, OPENING)
        self.purses[who] = rest + -(amount * RATES[0])

    def count(self, who: str, what: str) -> None:
        """Count what a process will tell of itself."""
        counts = self.counts.setdefault(who, {})
        counts[what] = counts.get(what, 0) + 1

    def do(self, act: Act) -> None:
        """Do one operation as it should be done."""
        who, row = f"{act.what if act.what in ('set', 'look') else 'trader'}-{act.who}", act.row
        times = self.times(who, act.ahead, act.length, act.gap)
        if act.what in ("buy", "sell"):
            amount = self.name(act.amount)
            self.trade(who, amount if act.what == "buy" else -amount, row, times)
        elif act.what == "refuse":
            there = self.stock(row)
            values = (there + act.amount, there)
            self.scene.record(who, SELL, row, times, values, refused=True)
        elif act.what == "set":
            number = sum(map(len, self.pairs))
            self.pairs[row].append((RATES[0] + number, RATES[1] + number))
            self.scene.record(who, SET_RATES, row, times, self.pairs[row][-1])
            self.count(who, "changes")
        else:
            self.scene.record(who, READ_ROW, row, times, (*self.pairs[row][-1], self.stock(row)))
            self.count(who, "snapshots")

    def close(self) -> None:
        """Let two traders meet at every row, and everybody tell what it did."""
        for row in range(len(self.scene.rows)):
            for who in ("closer-1", "closer-2"):
                self.trade(who, self.name(1), row, self.times(who, 5, 9))
        for who, outcome in self.scene.outcomes.items():
            outcome.summary = {"seconds": 0.0} | self.counts.get(who, {})
            if who in self.purses:
                outcome.summary["balance"] = self.purses[who]
        self.final = [
            [*pairs[-1], values[-1][0]]
            for pairs, values in zip(self.pairs, self.values, strict=True)
        ]


@dataclass(frozen=True)
class Order:
    """One print job: ``before`` and ``after`` are how far its putting and taking reach (ns)."""

    maker: int
    urgent: bool
    pages: int
    printer: int
    before: int
    after: int


@dataclass(frozen=True)
class Load:
    """A run of the spooler; ``turns`` says when the next job is put (else one is taken)."""

    orders: list[Order]
    turns: list[bool]
    levels: int
    staged: bool


MAKERS, PRINTERS = 3, 2

loads = st.builds(
    Load,
    st.lists(
        st.builds(
            Order,
            st.integers(0, MAKERS - 1),
            st.booleans(),
            st.integers(1, 3),
            st.integers(0, PRINTERS - 1),
            st.integers(0, 2500),
            st.integers(1, 99),
        ),
        min_size=4,
        max_size=10,
    ),
    st.lists(st.sampled_from([True, True, False]), min_size=20, max_size=20),
    st.sampled_from([1, 2]),
    st.booleans(),
)


@dataclass
class Shop:
    """Producers, a queue, perhaps consumers and a second queue, printers and their shared paper.

    ``events`` are puts and takes of jobs (numbers into ``load.orders``) in the order in which they
    happen. A test changes them, or the sets below, before it has them recorded.
    """

    scene: Scene
    load: Load
    events: list[tuple[str, int]] = field(default_factory=list)
    unprinted: set[int] = field(default_factory=set)
    damaged: set[int] = field(default_factory=set)
    punctual: bool = False

    def __post_init__(self) -> None:
        levels = self.load.levels
        self.scene.channels = [queue(priorities=levels), queue(1, "devices")]
        self.scene.paper = []
        for maker in range(MAKERS):
            self.scene.recorder(f"producer-{maker}", "producer")
        lines: list[list[int]] = [[] for _ in range(levels)]
        coming = list(range(len(self.load.orders)))
        turns = iter(self.load.turns)
        while coming or any(lines):
            puts = next(turns, True) or not any(lines)
            if coming and puts:
                job = coming.pop(0)
                lines[self.level(job)].append(job)
                self.events.append(("put", job))
            else:
                line = [line for line in lines if line][-1]
                self.events.append(("take", line.pop(0)))

    def level(self, job: int) -> int:
        """Return the priority of a job, as the channel tells it."""
        return int(self.load.orders[job].urgent and self.load.levels > 1)

    def item(self, job: int) -> int:
        """Return the name of a job: who made it, and its number there."""
        maker = self.load.orders[job].maker
        return item(maker, sum(each.maker == maker for each in self.load.orders[: job + 1]))

    def checksum(self, job: int) -> float:
        """Return the checksum of what stands on each page of a job."""
        return checksum(self.item(job))

    def takes(self) -> list[int]:
        """Return the places in ``events`` at which a job is taken."""
        return [at for at, (what, _) in enumerate(self.events) if what == "take"]

    def waits(self, job: int, at: int) -> bool:
        """Tell whether a job had been put before the event at ``at``."""
        return ("put", job) in self.events[:at]

    def swap(self, one: int, other: int) -> None:
        """Exchange the jobs that two takes got."""
        events = self.events
        events[one], events[other] = events[other], events[one]

    def record(self) -> None:
        """Write the records, a slot of time for each event, and what everybody tells of itself."""
        lefts: dict[str, int] = {}
        counts: dict[str, dict[str, int]] = {}

        def act(who: str, code: int, at: int, after: int, before: int, what: str = "") -> None:
            begin = max(lefts.get(who, 0), at - before)
            channel = int(code == PASS or (code == TAKE and what == "again"))
            lefts[who] = at + after
            self.scene.job(
                who, code, self.item(job), (begin, begin, at + after), channel=channel, body=body,
                declared=self.checksum(job), priority=order.urgent,
            )  # fmt: skip
            if what not in ("", "again"):
                mine = counts.setdefault(who, {})
                mine[what] = mine.get(what, 0) + 1

        first = True
        for slot, (event, job) in enumerate(self.events, start=1):
            order, at, body = self.load.orders[job], 1000 * slot, self.checksum(job)
            if event == "put":
                act(f"producer-{order.maker}", PUT, at, order.after, order.before, "placed")
                continue
            body = self.checksum(job) + (job in self.damaged)
            printer = f"printer-{order.printer}"
            # Whoever takes the first job has been waiting for it: there was something to wait for.
            before = 0 if self.punctual else at if first else order.before
            first = False
            if self.load.staged:
                consumer = f"consumer-{order.printer}"
                act(consumer, TAKE, at, order.after, before, "taken")
                if job in self.unprinted:
                    continue
                act(consumer, PASS, at + 200, 10, 0)
                act(printer, TAKE, at + 300, 10, 0, "again")
            else:
                act(printer, TAKE, at, order.after, before)
            if job not in self.unprinted:
                self._print(printer, job, at + 400, body)
                counts.setdefault(printer, {}).setdefault("printed", 0)
                counts[printer]["printed"] += 1
        for who, outcome in self.scene.outcomes.items():
            outcome.summary = {"seconds": 0.0} | counts.get(who, {})

    def _print(self, printer: str, job: int, at: int, body: float) -> None:
        assert self.scene.paper is not None
        pages, name = self.load.orders[job].pages, self.item(job)
        for page in range(1, pages + 1):
            times = (at + 10 * page,) * 2 + (at + 10 * page + 5,)
            self.scene.record(printer, PAGE, 0, times, (page, float(pages), 0.0, 9.0), name)
            self.scene.paper.append(f"[job {name:012x} page {page}/{pages}] {TEXT}")
        self.scene.job(
            printer, PRINT, name, (at, at, at + 90), body=body, declared=self.checksum(job)
        )
