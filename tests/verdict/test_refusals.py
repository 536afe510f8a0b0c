"""A refusal that its own record does not justify is a doubt of the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.history import scratch
from common.verdict import refusals
from common.verdict.judge import judge
from exchange.operations import BUY, SELL, SET_RATES
from tests.verdict.scenes import RATES, Scene


def traded(tmp_path: Path) -> Scene:
    """Return a run of two traders in which nothing is odd: one has 7.82, the other 981.35 then."""
    scene = Scene(tmp_path / "run", stock=300.0)
    scene.trade("a", 266, 300, (10, 20, 30))
    scene.trade("b", 5, 566, (25, 40, 50))
    return scene


def refuse(scene: Scene, who: str, code: int, amount: float, checked: float) -> None:
    scene.record(who, code, 0, (60, 60, 70), (amount, checked), refused=True)


REASONS = [("a", BUY, 3.0, RATES[1]), ("b", SELL, 572.0, 571.0)]
NO_REASONS = [
    ("b", BUY, 5.0, RATES[1], "buy 2 asked for 5 DOLLAR at 3.72 with a balance of 981.35"),
    ("a", BUY, 2.0, RATES[1], "buy 2 asked for 2 DOLLAR at 3.72 with a balance of 7.82"),
    ("a", SELL, 571.0, 571.0, "sell 2 asked for 571 DOLLAR and saw 571"),
    ("b", BUY, 5.0, 10000.0, "buy 2 asked for 5 DOLLAR at 10,000, a rate that was never there"),
    ("b", BUY, 5.0, 0.0, "buy 2 asked for 5 DOLLAR at 0 with a balance of 981.35"),
    ("b", SELL, 0.0, 571.0, "sell 2 asked for 0 DOLLAR and saw 571"),
    ("b", BUY, float("nan"), 3.72, "buy 2 asked for nan DOLLAR at 3.72 with a balance of 981.35"),
]  # fmt: skip


@pytest.mark.parametrize(("who", "code", "amount", "checked"), REASONS)
def test_a_refusal_with_reason_leaves_no_doubt(
    tmp_path: Path, who: str, code: int, amount: float, checked: float
) -> None:
    """Its balance was too low by then, or the stock that it saw."""
    scene = traded(tmp_path)
    refuse(scene, who, code, amount, checked)
    assert refusals.check(scene.case()) == []


@pytest.mark.parametrize("chunk", [scratch.CHUNK, 1])
@pytest.mark.parametrize(("who", "code", "amount", "checked", "said"), NO_REASONS)
def test_a_refusal_without_reason_is_a_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    who: str, code: int, amount: float, checked: float, said: str, chunk: int,
) -> None:  # fmt: skip
    """It could pay, or there was enough, or what it says it saw was never there."""
    monkeypatch.setattr("common.history.merge.CHUNK", chunk)
    scene = traded(tmp_path)
    refuse(scene, who, code, amount, checked)
    case = scene.case()
    assert refusals.check(case) == [f"{who} refused 1 operation without reason: {said}"]
    assert judge(case).verdict == "undecided"


def test_a_rate_that_somebody_set_is_one(tmp_path: Path) -> None:
    """The opening rates are not the only ones."""
    scene = traded(tmp_path)
    scene.record("setter", SET_RATES, 0, (51, 51, 52), (200.0, 210.0))
    refuse(scene, "b", BUY, 5.0, 210.0)
    assert refusals.check(scene.case()) == []


def test_the_balance_is_that_of_then(tmp_path: Path) -> None:
    """What it earned after the refusal is no reason to doubt it."""
    scene = traded(tmp_path)
    refuse(scene, "a", BUY, 3.0, RATES[1])
    scene.trade("a", -100, 571, (80, 80, 90))
    assert refusals.check(scene.case()) == []


def test_a_refusal_that_was_cut_off_is_not_judged(tmp_path: Path) -> None:
    """It was killed while it wrote it down: what it saw is not in the record."""
    scene = traded(tmp_path)
    scene.record("b", BUY, 0, (60, 60, 0), (5.0, 0.0), refused=True)
    scene.outcomes["b"].phase = "run"
    assert refusals.check(scene.case()) == []


def test_who_looked_at_nothing_has_no_reason(tmp_path: Path) -> None:
    """It came to its end: nothing cut it off, there was no check."""
    scene = traded(tmp_path)
    scene.record("b", BUY, 0, (60, 60, 0), (5.0, 0.0), refused=True)
    said = "buy 2 asked for 5 DOLLAR, and had looked at nothing"
    assert refusals.check(scene.case()) == [f"b refused 1 operation without reason: {said}"]
