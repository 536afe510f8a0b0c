"""Right exchanges with exactly one thing broken: each break has its finding, and no other.

``data_race`` is left out where operations overlap: it tells of the chance of harm, not of harm.
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from common.history.case import Case
from common.verdict.judge import judge
from exchange.operations import READ_ROW
from tests.verdict.generated import ROWS, Act, Office, acts, harm, orders
from tests.verdict.market import Market
from tests.verdict.scenes import GRAIN, Scene

bounded = settings(derandomize=True, deadline=None, max_examples=25)

Folder = pytest.TempPathFactory


def office(folder: Folder) -> Office:
    """Return an exchange of three rows at which nobody has been yet."""
    return Office(Scene(folder.mktemp("run") / "run", rows=ROWS, stock=1e6))


def closed(office: Office, **facts: Any) -> Case:
    """Return the run of an exchange."""
    office.close()
    return office.scene.case(**{"final": office.final, **facts})


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
    run.trade("lender", run.name(5), row, run.times("lender", 9, 9))
    checked, begun = run.stock(row), run.now
    run.trade("taker", -run.name(4), row, run.times("taker", 9, 9))
    depth = run.name(3)
    amount = run.stock(row) + depth
    _, _, left = run.times("seller", 9, 9)
    run.trade("seller", -amount, row, (begun, begun, left), checked=checked)
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
