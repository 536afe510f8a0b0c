"""Right runs with exactly one thing broken: each break has its finding, and no other.

``data_race`` is left out where operations overlap: it tells of the chance of harm, not of harm.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from common.history.case import Case
from common.verdict import linearizability
from common.verdict.finding import Finding, Verdict
from common.verdict.judge import judge
from exchange.operations import BUY, READ_ROW, SELL
from tests.verdict.generated import ROWS, Act, Load, Office, Shop, acts, loads
from tests.verdict.scenes import GRAIN, Scene

bounded = settings(derandomize=True, deadline=None, max_examples=25)

Folder = pytest.TempPathFactory


def office(folder: Folder) -> Office:
    """Return an exchange of three rows at which nobody has been yet."""
    return Office(Scene(folder.mktemp("run") / "run", rows=ROWS, stock=1e6))


def shop(folder: Folder, load: Load) -> Shop:
    """Return a spooler with that load, not yet recorded."""
    return Shop(Scene(folder.mktemp("run") / "run"), load)


def harm(verdict: Verdict) -> dict[str, Finding]:
    """Return the findings by kind, but for races."""
    return {each.kind: each for each in verdict.findings if each.kind != "data_race"}


def closed(office: Office, **facts: Any) -> Case:
    """Return the run of an exchange."""
    office.close()
    return office.scene.case(**{"final": office.final, **facts})


def orders(case: Case) -> set[str]:
    """Return what the search for an order says of the rows and queues."""
    return {each.answer for each in linearizability.check(case)}


# --- an exchange


@bounded
@given(program=acts)
def test_a_right_exchange_is_valid(tmp_path_factory: Folder, program: list[Act]) -> None:
    """Whoever waited for whom, and with equal stamps: nothing is found, nothing is doubted."""
    run = office(tmp_path_factory)
    for act in program:
        run.do(act)
    case = closed(run)
    verdict = judge(case)
    assert (verdict.verdict, verdict.findings, verdict.doubts) == ("valid", [], [])
    assert verdict.measures["missing"] == verdict.measures["lost"] == dict.fromkeys(ROWS, 0.0)
    assert orders(case) == {"linearizable"}


@bounded
@given(program=acts, at=st.integers(0, 15), row=st.integers(0, 2), back=st.integers(1, 4))
def test_who_read_an_old_value_loses_all_updates_since(
    tmp_path_factory: Folder, program: list[Act], at: int, row: int, back: int
) -> None:
    """Exactly those between its read and its write, with their sum to the last bit."""
    run = office(tmp_path_factory)
    for act in program[:at]:
        run.do(act)
    back = min(back, len(run.values[row]) - 1)
    assume(back)
    read, since, _ = run.values[row][-1 - back]
    lost = [amount for _, _, amount in run.values[row][-back:]]
    run.now += 3
    run.trade("intruder", run.name(5), row, (since, since, run.now), read)
    for act in program[at:]:
        run.do(act)
    case = closed(run)
    verdict = judge(case)
    found = harm(verdict)
    assert (list(found), verdict.doubts) == (["lost_update"], [])
    assert (found["lost_update"].count, found["lost_update"].total) == (
        back,
        math.fsum(map(abs, lost)),
    )
    assert verdict.measures["lost"] == verdict.measures["missing"]
    assert verdict.measures["lost"][ROWS[row]] == math.fsum(lost)
    assert orders(case) == {"linearizable", "not linearizable"}


@bounded
@given(program=acts, at=st.integers(0, 15), row=st.integers(0, 2))
def test_a_check_that_passed_on_too_little_makes_the_stock_negative(
    tmp_path_factory: Folder, program: list[Act], at: int, row: int
) -> None:
    """Once, and by how much; a purchase after it makes it good, so that nobody else is to blame."""
    run = office(tmp_path_factory)
    for act in program[:at]:
        run.do(act)
    depth = run.name(3)
    amount = run.stock(row) + depth
    run.trade("seller", -amount, row, run.times("seller", 9, 9), checked=amount)
    run.trade("mender", amount, row, run.times("mender", 9, 9))
    for act in program[at:]:
        run.do(act)
    case = closed(run)
    verdict = judge(case)
    found = harm(verdict)
    assert (list(found), verdict.doubts) == (["negative_stock"], [])
    assert (found["negative_stock"].count, found["negative_stock"].total) == (1, depth)
    assert orders(case) == {"linearizable", "not linearizable"}


@bounded
@given(program=acts, row=st.integers(0, 2), pick=st.tuples(st.integers(0), st.integers(0)))
def test_a_snapshot_of_two_changes_is_torn(
    tmp_path_factory: Folder, program: list[Act], row: int, pick: tuple[int, int]
) -> None:
    """One rate of each of any two, the opening row among them."""
    run = office(tmp_path_factory)
    for act in [*program, Act(0, "set", row, 1, 0, 5, 0)]:
        run.do(act)
    pairs = run.pairs[row]
    one = pick[0] % len(pairs)
    other = (one + 1 + pick[1] % (len(pairs) - 1)) % len(pairs)
    values = (pairs[one][0], pairs[other][1], run.stock(row))
    run.scene.record("auditor", READ_ROW, row, run.times("auditor", 9, 9), values)
    run.count("auditor", "snapshots")
    case = closed(run)
    verdict = judge(case)
    assert (list(harm(verdict)), verdict.doubts) == (["torn_read"], [])
    assert harm(verdict)["torn_read"].count == 1
    assert orders(case) == {"linearizable", "not linearizable"}


@bounded
@given(program=acts, row=st.integers(0, 2), half=st.integers(0, 1))
def test_a_table_that_ends_with_half_a_change_is_torn(
    tmp_path_factory: Folder, program: list[Act], row: int, half: int
) -> None:
    """Nobody looked, but the launcher."""
    run = office(tmp_path_factory)
    for act in program:
        run.do(act)
    run.close()
    run.final[row][half] += 0.5
    verdict = judge(run.scene.case(final=run.final))
    assert list(harm(verdict)) == ["torn_read"]
    assert harm(verdict)["torn_read"].count == 1


MISSING = ("update", "last update", "snapshot", "purse", "final")


@bounded
@given(program=acts, row=st.integers(0, 2), what=st.sampled_from(MISSING))
def test_what_no_record_explains_is_undecided(
    tmp_path_factory: Folder, program: list[Act], row: int, what: str
) -> None:
    """A record that is missing, a purse that is off by a bit, a last stock from nowhere."""
    run = office(tmp_path_factory)
    for act in program:
        run.do(act)
    facts: dict[str, Any] = {}
    if what == "update":
        # Done, and not recorded: whoever comes next reads a value from nowhere.
        run.values[row].append((run.stock(row) + run.name(1), run.now, 0.0))
    elif what == "snapshot":
        run.scene.recorder("auditor")
        run.count("auditor", "snapshots")
    run.close()
    if what == "purse":
        summary = run.scene.outcomes["closer-1"].summary
        summary["balance"] = math.nextafter(summary["balance"], 0.0)
    elif what in ("last update", "final"):
        run.final[row][2] += run.name(1)
    verdict = judge(run.scene.case(final=run.final, **facts))
    assert (verdict.verdict, harm(verdict), len(verdict.doubts)) == ("undecided", {}, 1)


ENDS: list[tuple[str, dict[str, Any]]] = [
    ("process_crashed", {"signal": 9, "exit": None, "phase": "run"}),
    ("process_crashed", {"exit": 3, "phase": "run"}),
    ("process_crashed", {"exit": 0, "phase": "ready"}),
    ("process_crashed", {"exit": 1, "error": {"kind": "ValueError", "message": "no"}}),
    ("process_hung", {"hung": "in run, waiting for the table", "signal": 9, "phase": "run"}),
    ("process_hung", {"exit": 4, "error": {"kind": "WaitExpired", "message": "waited 9 s"}}),
    ("object_vanished", {"exit": 4, "error": {"kind": "ObjectVanished", "message": "gone"}}),
]


@bounded
@given(program=acts, end=st.sampled_from(ENDS), pick=st.integers(0))
def test_a_process_that_ends_badly_is_all_that_is_found(
    tmp_path_factory: Folder, program: list[Act], end: tuple[str, dict[str, Any]], pick: int
) -> None:
    """Whoever it is, and whatever it had done till then; what vanished makes a run undecided."""
    run = office(tmp_path_factory)
    for act in program:
        run.do(act)
    run.close()
    outcomes = list(run.scene.outcomes.values())
    kind, facts = end
    for name, value in facts.items():
        setattr(outcomes[pick % len(outcomes)], name, value)
    verdict = judge(run.scene.case(final=run.final))
    assert list(harm(verdict)) == [kind]
    assert verdict.verdict == ("undecided" if kind == "object_vanished" else "anomaly")


@bounded
@given(program=acts, left=st.integers(1, 3))
def test_objects_that_are_left_are_a_leak(
    tmp_path_factory: Folder, program: list[Act], left: int
) -> None:
    """As many as there are."""
    run = office(tmp_path_factory)
    for act in program:
        run.do(act)
    entries = [{"kind": "sysv_sem", "name": f"{number:#x}", "id": number} for number in range(left)]
    verdict = judge(closed(run, objects=entries, leaks=entries))
    assert {kind: each.count for kind, each in harm(verdict).items()} == {"leak": left}


# --- an exchange without a lock


class Trader:
    """A trader of the simulator: it checks, reads, writes and records, a step at a time."""

    def __init__(self, market: Market, name: str, amounts: list[tuple[int, float]]) -> None:
        self.market, self.name = market, name
        self.life = self.steps(amounts)

    def steps(self, amounts: list[tuple[int, float]]) -> Iterator[None]:
        market = self.market
        for row, amount in amounts:
            asked = market.now
            market.flying[self.name] = (row, amount, asked)
            yield
            checked = market.stocks[row]
            if amount < 0 and checked < -amount:
                times, values = (asked, asked, market.now), (-amount, checked)
                market.scene.record(self.name, SELL, row, times, values, refused=True)
                del market.flying[self.name]
                continue
            yield
            read = market.stocks[row]
            yield
            market.stocks[row] = read + amount
            yield
            market.scene.trade(self.name, amount, read, (asked, asked, market.now), row, checked)
            del market.flying[self.name]
            market.done.append((row, amount))


class Market:
    """A table without a lock, and what really became of it; whoever is killed leaves one record."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.now = 100
        self.stocks = [scene.stock] * len(scene.rows)
        self.flying: dict[str, tuple[int, float, int]] = {}
        self.done: list[tuple[int, float]] = []

    def run(
        self, programs: list[list[tuple[int, float]]], turns: list[int], deaths: set[int]
    ) -> None:
        """Let the traders go on as ``turns`` says who is next; at ``deaths`` that one is killed."""
        living = [Trader(self, f"trader-{n}", each) for n, each in enumerate(programs)]
        for trader in living:
            self.scene.recorder(trader.name)
        for step, turn in enumerate(itertools.cycle(turns)):
            if not living:
                break
            trader = living[turn % len(living)]
            self.now += turn % 3
            if step in deaths and trader.name in self.flying:
                self._kill(trader)
                living.remove(trader)
            elif next(trader.life, "over") == "over":
                living.remove(trader)
        self.scene.final = self.stocks

    def _kill(self, trader: Trader) -> None:
        row, amount, asked = self.flying.pop(trader.name)
        code = BUY if amount > 0 else SELL
        self.scene.record(trader.name, code, row, (asked, asked, 0), (abs(amount),))
        outcome = self.scene.outcomes[trader.name]
        outcome.signal, outcome.exit, outcome.phase = 9, None, "run"


units = st.integers(1, (1 << 50) - 1).map(lambda value: value * GRAIN)
amounts = st.one_of(units, units.map(lambda value: -value))


@settings(bounded, max_examples=80)
@given(
    programs=st.lists(
        st.lists(st.tuples(st.sampled_from([0, 0, 1]), amounts), min_size=2, max_size=6),
        min_size=2, max_size=4,
    ),
    turns=st.lists(st.integers(0, 11), min_size=30, max_size=30),
    deaths=st.one_of(st.just(set()), st.sets(st.integers(0, 60), max_size=2)),
    named=st.booleans(),
)  # fmt: skip
def test_what_was_lost_is_what_is_missing_in_any_interleaving(
    tmp_path_factory: Folder,
    programs: list[list[tuple[int, float]]],
    turns: list[int],
    deaths: set[int],
    named: bool,
) -> None:
    """As exact doubles, row by row, with traders killed at any step.

    Whatever the killed one wrote counts only if somebody saw it, and then on both sides. With
    amounts that name their trade, nothing is left open.
    """
    scene = Scene(tmp_path_factory.mktemp("run") / "run", rows=ROWS[:2], stock=2.0**18)
    names = itertools.count()
    drawn = [
        [(row, math.copysign(2.0 ** next(names) * GRAIN, x) if named else x) for row, x in each]
        for each in programs
    ]
    market = Market(scene)
    market.run(drawn, turns, deaths)
    case = scene.case()
    verdict = judge(case)
    measures = verdict.measures
    told = {row for row in scene.rows if row in measures["lost"]}
    assert {row: measures["missing"][row] for row in told} == measures["lost"]
    if named:
        assert told == set(scene.rows)
        assert not [doubt for doubt in verdict.doubts if "equal values" in doubt]
        broken = not harm(verdict).keys().isdisjoint({"lost_update", "negative_stock"})
        assert ("not linearizable" in orders(case)) is broken
    if not any(outcome.signal for outcome in scene.outcomes.values()):
        for row, name in enumerate(scene.rows):
            made = math.fsum(amount for at, amount in market.done if at == row)
            assert measures["missing"][name] == scene.stock + made - market.stocks[row]


# --- a spooler


@bounded
@given(load=loads)
def test_a_right_spooler_is_valid(tmp_path_factory: Folder, load: Load) -> None:
    """One queue or two, with and without priorities, however the calls overlap."""
    run = shop(tmp_path_factory, load)
    run.record()
    case = run.scene.case()
    verdict = judge(case)
    assert (verdict.verdict, verdict.findings, verdict.doubts) == ("valid", [], [])
    assert orders(case) == {"linearizable"}


@bounded
@given(load=loads, pick=st.integers(0), taken=st.booleans())
def test_a_job_that_is_dropped_is_lost(
    tmp_path_factory: Folder, load: Load, pick: int, taken: bool
) -> None:
    """In the queue, or by who had taken it: then the queue itself is right."""
    run = shop(tmp_path_factory, load)
    takes = run.takes()
    if taken:
        run.unprinted.add(pick % len(load.orders))
    else:
        del run.events[takes[pick % len(takes)]]
    run.record()
    case = run.scene.case()
    verdict = judge(case)
    assert {kind: each.count for kind, each in harm(verdict).items()} == {"job_lost": 1}
    assert verdict.doubts == []
    assert ("not linearizable" in orders(case)) is not taken


@bounded
@given(load=loads, pick=st.integers(0), later=st.integers(0))
def test_a_job_that_is_taken_twice_is_duplicated(
    tmp_path_factory: Folder, load: Load, pick: int, later: int
) -> None:
    """Once, however much later the second time is."""
    run = shop(tmp_path_factory, load)
    takes = run.takes()
    at = takes[pick % len(takes)]
    run.events.insert(at + 1 + later % (len(run.events) - at), run.events[at])
    run.record()
    case = run.scene.case()
    verdict = judge(case)
    found = harm(verdict)
    assert {kind: (each.count, each.total) for kind, each in found.items()} == {
        "job_duplicated": (1, 1.0)
    }
    assert verdict.doubts == []
    assert "not linearizable" in orders(case)


@bounded
@given(load=loads, pick=st.integers(0))
def test_a_job_that_is_damaged_is_corrupted(
    tmp_path_factory: Folder, load: Load, pick: int
) -> None:
    """It counts once, wherever it is seen after that."""
    run = shop(tmp_path_factory, load)
    run.damaged.add(pick % len(load.orders))
    run.record()
    case = run.scene.case()
    verdict = judge(case)
    assert {kind: each.count for kind, each in harm(verdict).items()} == {"job_corrupted": 1}
    assert verdict.doubts == []
    assert "not linearizable" in orders(case)


@bounded
@given(load=loads, pick=st.integers(0))
def test_two_jobs_of_one_sender_that_change_places_are_reordered(
    tmp_path_factory: Folder, load: Load, pick: int
) -> None:
    """One of them was overtaken: the one that had been sent first."""
    run = shop(tmp_path_factory, load)
    lines: dict[tuple[int, int], list[int]] = {}
    for at in run.takes():
        job = run.events[at][1]
        lines.setdefault((load.orders[job].maker, run.level(job)), []).append(at)
    pairs = [
        (one, other)
        for line in lines.values()
        for one, other in itertools.pairwise(line)
        if run.waits(run.events[other][1], one)
    ]
    assume(pairs)
    run.swap(*pairs[pick % len(pairs)])
    run.punctual = True
    run.record()
    case = run.scene.case()
    verdict = judge(case)
    assert {kind: each.count for kind, each in harm(verdict).items()} == {"job_reordered": 1}
    assert verdict.doubts == []
    assert "not linearizable" in orders(case)


@bounded
@given(load=loads.filter(lambda load: load.levels > 1), pick=st.integers(0))
def test_an_urgent_job_that_is_passed_over_is_reordered(
    tmp_path_factory: Folder, load: Load, pick: int
) -> None:
    """It stood there when a less urgent one was taken."""
    run = shop(tmp_path_factory, load)
    pairs = [
        (one, other)
        for one, other in itertools.pairwise(run.takes())
        if run.level(run.events[one][1]) > run.level(run.events[other][1])
        and run.waits(run.events[other][1], one)
    ]
    assume(pairs)
    run.swap(*pairs[pick % len(pairs)])
    run.punctual = True
    run.record()
    case = run.scene.case()
    verdict = judge(case)
    assert {kind: each.count for kind, each in harm(verdict).items()} == {"job_reordered": 1}
    assert "not linearizable" in orders(case)


@bounded
@given(load=loads, pick=st.integers(0))
def test_a_page_between_those_of_another_job_is_interleaved(
    tmp_path_factory: Folder, load: Load, pick: int
) -> None:
    """Each job in pieces counts: the other one is too, if it has more pages than that."""
    run = shop(tmp_path_factory, load)
    run.record()
    paper = run.scene.paper
    assert paper is not None
    jobs = [line.split()[1] for line in paper]
    pages = {job: jobs.count(job) for job in jobs}
    edges = [
        at
        for at, (one, other) in enumerate(itertools.pairwise(jobs))
        if one != other and pages[one] > 1
    ]
    assume(edges)
    at = edges[pick % len(edges)]
    paper[at], paper[at + 1] = paper[at + 1], paper[at]
    verdict = judge(run.scene.case())
    pieces = 1 + (pages[jobs[at + 1]] > 1)
    assert {kind: each.count for kind, each in harm(verdict).items()} == {
        "pages_interleaved": pieces
    }
    assert verdict.doubts == []


@bounded
@given(load=loads, pick=st.integers(0), what=st.sampled_from(["page", "paper", "file", "count"]))
def test_what_is_not_there_leaves_a_spooler_undecided(
    tmp_path_factory: Folder, load: Load, pick: int, what: str
) -> None:
    """A page, the whole paper, the file of one who did nothing, or a record less than was told."""
    run = shop(tmp_path_factory, load)
    run.record()
    paper = run.scene.paper
    assert paper is not None
    if what == "page":
        del paper[pick % len(paper)]
    elif what == "file":
        run.scene.recorder("consumer-9")
        (run.scene.directory / "history" / "consumer-9.rec").unlink()
    elif what == "count":
        told = run.scene.outcomes[f"printer-{load.orders[0].printer}"].summary
        told["printed"] += 1
    case = run.scene.case()
    if what == "paper":
        case.paper_lines = None
    verdict = judge(case)
    assert (verdict.verdict, harm(verdict), len(verdict.doubts)) == ("undecided", {}, 1)


@bounded
@given(load=loads, turn=st.integers(2, 15))
def test_a_run_cut_short_leaves_jobs_under_way(
    tmp_path_factory: Folder, load: Load, turn: int
) -> None:
    """Interrupted by the user: a doubt, and no job is called lost."""
    run = shop(tmp_path_factory, load)
    del run.events[turn:]
    under_way = sum(what == "put" for what, _ in run.events) - len(run.takes())
    run.record()
    verdict = judge(run.scene.case(interrupted=2))
    assert harm(verdict) == {}
    assert ("under way" in " ".join(verdict.doubts)) is (under_way > 0)


def test_a_checker_that_crashes_leaves_a_right_run_undecided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any of them: what it would have said is not known."""
    from common import kinds

    run = Office(Scene(tmp_path / "run", rows=ROWS, stock=1e6))
    case = closed(run)
    for kind in kinds.names(kinds.PROPERTIES):
        with monkeypatch.context() as patch:
            patch.setattr(kinds.load(kinds.PROPERTIES, kind), "check", None)
            verdict = judge(case)
        assert (verdict.verdict, verdict.measures["checker_failed"]) == ("undecided", True)
        assert verdict.doubts[0].startswith(f"the checker {kind} failed: TypeError")
    assert judge(case).verdict == "valid"
