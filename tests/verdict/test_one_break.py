"""Histories that are right by construction, then broken in exactly one way."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.verdict.judge import judge
from exchange.operations import READ_ROW, SET_RATES
from spooler.operations import PAGE, PRINT, PUT, TAKE
from tests.verdict.scenes import GRAIN, RATES, TEXT, Scene, checksum, item, queue


@dataclass
class Step:
    """One operation of a sequential run: who does it, and what it needs."""

    kind: str
    who: int
    row: int
    amount: float


@dataclass
class Broken:
    """Where the run is to be broken: the ``at``-th operation of its kind (modulo)."""

    how: str
    at: int


steps = st.lists(
    st.builds(
        Step,
        st.sampled_from(["buy", "sell", "set", "look"]),
        st.integers(0, 2),
        st.integers(0, 1),
        st.integers(1 << 30, 1 << 33).map(lambda units: units * GRAIN),
    ),
    min_size=4,
    max_size=25,
)


def exchange(scene: Scene, program: list[Step], broken: Broken | None) -> None:
    """Execute ``program`` on the rows one step after the other; each asks while another is in."""
    stocks = [scene.stock] * 2
    # What is there to see: what was written last, also by who is overwritten unseen.
    shown = [scene.stock] * 2
    rates = [RATES, RATES]
    now, last = 100, -1
    counts: dict[str, int] = {}
    for number, step in enumerate(program):
        who = f"trader-{step.who}"
        asked = now - 5 if step.who != last else now
        times = (asked, now, now + 10)
        last = step.who
        nth = counts[step.kind] = counts.get(step.kind, 0) + 1
        here = broken is not None and broken.at == nth
        if step.kind in ("buy", "sell"):
            amount = step.amount if step.kind == "buy" else -step.amount
            written = scene.trade(who, amount, stocks[step.row], times, step.row)
            shown[step.row] = written
            if not (here and broken is not None and broken.how == step.kind):
                stocks[step.row] = written
        elif step.kind == "set":
            rates[step.row] = (RATES[0] + number + 1, RATES[1] + number + 1)
            scene.record(who, SET_RATES, step.row, times, rates[step.row])
        else:
            sell, buy = rates[step.row]
            if here and broken is not None and broken.how == "look":
                buy += 0.5
            scene.record(who, READ_ROW, step.row, times, (sell, buy, shown[step.row]))
        now += 10
    # The last words on each row: a trade left out of the chain was overwritten, and somebody
    # asked while somebody else was inside.
    for row in (0, 1):
        for who in ("closer-1", "closer-2"):
            now += 10
            amount = 1 + (row + 1) * GRAIN
            stocks[row] = scene.trade(who, amount, stocks[row], (now - 15, now, now + 5), row)


@settings(max_examples=60, deadline=None)
@given(program=steps, how=st.sampled_from(["buy", "sell", "look", "nothing"]), pick=st.integers(0))
def test_a_sequential_exchange_with_one_break_has_that_finding_only(
    tmp_path_factory: pytest.TempPathFactory, program: list[Step], how: str, pick: int
) -> None:
    """One update left out of the chain, or one snapshot mixed, is found, and nothing else is."""
    scene = Scene(tmp_path_factory.mktemp("run") / "run", rows=("A", "B"), stock=1e6)
    candidates = sum(step.kind == how for step in program)
    broken = Broken(how, pick % candidates + 1) if candidates else None
    exchange(scene, program, broken)
    verdict = judge(scene.case())
    kinds = {"buy": "lost_update", "sell": "lost_update", "look": "torn_read"}
    expected = [kinds[how]] if broken else []
    assert [finding.kind for finding in verdict.findings] == expected
    assert [finding.count for finding in verdict.findings] == [1] * len(expected)
    assert verdict.measures["missing"] == verdict.measures["lost"]
    assert verdict.doubts == []
    assert verdict.verdict == ("anomaly" if broken else "valid")


def spooled(scene: Scene, jobs: int, breaking: str, at: int) -> None:
    """Let two producers place ``jobs`` in turn, and one printer print them in that order."""
    assert scene.paper is not None
    for name in ("producer-1", "producer-2", "printer-1", "printer-2"):
        scene.recorder(name)
    order = [item(number % 2, number // 2 + 1) for number in range(jobs)]
    for number, job in enumerate(order):
        scene.job(
            f"producer-{number % 2 + 1}", PUT, job, (10 * number,) * 2 + (10 * number + 15,),
            body=checksum(job), declared=checksum(job),
        )  # fmt: skip
    if breaking == "reordered":
        order[at], order[at + 2] = order[at + 2], order[at]
    if breaking == "duplicated":
        order.insert(at + 1, order[at])
    for number, job in enumerate(order):
        now = 10_000 + 100 * number
        hurt = number == at
        if hurt and breaking == "lost":
            continue
        job = item(9, 9) if hurt and breaking == "invented" else job
        given = checksum(job)
        body = given + (hurt and breaking == "corrupted")
        printer = f"printer-{number % 2 + 1}"
        scene.job(printer, TAKE, job, (now - 110, now - 110, now + 1), body=body, declared=given)
        for page in (1, 2):
            stamp = now + page
            scene.record(printer, PAGE, 0, (stamp, stamp, stamp + 1), (page, 2.0, 0, 9), job)
            scene.paper.append(f"[job {job:012x} page {page}/2] {TEXT}")
        scene.job(printer, PRINT, job, (now + 1, now + 2, now + 5), body=body, declared=given)
    if breaking == "interleaved":
        first = next(n for n in range(len(scene.paper)) if n // 2 == at)
        scene.paper[first + 1], scene.paper[first + 2] = (
            scene.paper[first + 2],
            scene.paper[first + 1],
        )


@settings(max_examples=60, deadline=None)
@given(
    jobs=st.integers(4, 12),
    at=st.integers(0, 1),
    breaking=st.sampled_from(
        ["lost", "duplicated", "corrupted", "invented", "reordered", "interleaved", "nothing"]
    ),
)
def test_a_spooler_with_one_break_has_that_finding_only(
    tmp_path_factory: pytest.TempPathFactory, jobs: int, at: int, breaking: str
) -> None:
    """One job dropped, doubled, damaged, invented, swapped or mixed on the paper."""
    scene = Scene(tmp_path_factory.mktemp("run") / "run", channels=[queue()], paper=[])
    spooled(scene, jobs, breaking, at)
    verdict = judge(scene.case())
    expected = {
        "lost": {"job_lost"},
        "duplicated": {"job_duplicated"},
        "corrupted": {"job_corrupted"},
        # The job that was offered went missing where another came in its place.
        "invented": {"job_corrupted", "job_lost"},
        "reordered": {"job_reordered"},
        "interleaved": {"pages_interleaved"},
        "nothing": set(),
    }[breaking]
    assert {finding.kind for finding in verdict.findings} == expected
    assert all(finding.count == 1 for finding in verdict.findings if breaking != "interleaved")
    assert verdict.doubts == []
    assert verdict.verdict == ("anomaly" if expected else "valid")


def test_a_run_of_nothing_but_a_killed_trader_is_a_crash(tmp_path: Path) -> None:
    """Whatever it had in flight, its death is what is found."""
    scene = Scene(tmp_path / "run", stock=100.0)
    scene.trade("trader-1", 1, 100, (0, 10, 20))
    scene.record("trader-1", 1, 0, (30, 40, 0), (5.0,))
    scene.outcomes["trader-1"].signal, scene.outcomes["trader-1"].exit = 9, None
    verdict = judge(scene.case())
    assert [finding.kind for finding in verdict.findings] == ["process_crashed"]
    assert verdict.measures["in_flight"] == 1
