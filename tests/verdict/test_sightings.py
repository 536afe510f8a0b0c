from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.history import scratch
from common.verdict import sightings
from common.verdict.judge import judge
from exchange.operations import BUY, READ_ROW, SELL
from tests.verdict.scenes import RATES, Scene, simulate
from tests.verdict.test_lost_update import forever


def traded(tmp_path: Path) -> Scene:
    """Return a run whose stock is 100, then 105 (written at 20 to 30), then 107 (at 40 to 50)."""
    scene = Scene(tmp_path / "run", stock=100.0)
    scene.trade("a", 5, 100, (10, 20, 30))
    scene.trade("b", 2, 105, (25, 40, 50))
    return scene


def look(scene: Scene, stock: float, begin: int, left: int) -> None:
    """Record a snapshot that saw ``stock``."""
    scene.record("auditor", READ_ROW, 0, (begin, begin, left), (*RATES, stock))


def refused(scene: Scene, stock: float, begin: int, left: int) -> None:
    """Record a sale that was turned down at ``stock``."""
    scene.record("seller", SELL, 0, (begin, begin, left), (stock + 1, stock), refused=True)


POSSIBLE = [
    (100.0, 0, 10), (100.0, 30, 60), (105.0, 10, 20), (105.0, 31, 39), (105.0, 50, 60),
    (107.0, 30, 40), (107.0, 60, 70),
]  # fmt: skip
IMPOSSIBLE = [
    (100.0, 31, 60, "had been overwritten before that"),
    (105.0, 51, 60, "had been overwritten before that"),
    (105.0, 5, 19, "was written only after that"),
    (107.0, 5, 39, "was written only after that"),
    (103.0, 5, 90, "no recorded operation wrote"),
]


@pytest.mark.parametrize(("stock", "begin", "left"), POSSIBLE)
@pytest.mark.parametrize("act", [look, refused])
def test_what_may_have_been_there_leaves_no_doubt(
    tmp_path: Path, act: object, stock: float, begin: int, left: int
) -> None:
    """Before the write, during it and after it; intervals are closed on both sides."""
    scene = traded(tmp_path)
    assert callable(act)
    act(scene, stock, begin, left)
    assert sightings.check(scene.case()) == []


@pytest.mark.parametrize(("stock", "begin", "left", "objection"), IMPOSSIBLE)
@pytest.mark.parametrize(
    ("act", "name"), [(look, "read_row 1 of auditor"), (refused, "sell 1 of seller")]
)
def test_what_was_not_there_is_a_doubt(
    tmp_path: Path, act: object, name: str, stock: float, begin: int, left: int, objection: str
) -> None:
    """Overwritten for certain, written only later, or never: the operation is named."""
    scene = traded(tmp_path)
    assert callable(act)
    act(scene, stock, begin, left)
    assert sightings.check(scene.case()) == [
        f"DOLLAR: 1 operation saw a stock that was not there then; {name} saw {stock:g}, which "
        f"{objection}"
    ]


def test_a_run_in_which_somebody_saw_what_was_not_there_is_undecided(tmp_path: Path) -> None:
    """However right everything else is."""
    scene = traded(tmp_path)
    assert judge(scene.case()).verdict == "valid"
    look(scene, 105.0, 51, 60)
    assert judge(scene.case()).verdict == "undecided"


def test_a_check_that_passed_on_what_was_not_there_is_a_doubt(tmp_path: Path) -> None:
    """A sale reads the stock twice; nobody else speaks of what it saw first."""
    scene = traded(tmp_path)
    scene.trade("seller", -5, 107, (60, 60, 70), checked=105)
    assert sightings.check(scene.case()) == [
        "DOLLAR: 1 operation saw a stock that was not there then; sell 1 of seller saw 105, which "
        "had been overwritten before that"
    ]


def test_a_check_that_others_overtook_is_right(tmp_path: Path) -> None:
    """It saw what was there when it looked."""
    scene = traded(tmp_path)
    scene.trade("seller", -5, 107, (25, 25, 70), checked=100)
    assert sightings.check(scene.case()) == []


def test_the_price_that_a_purchase_checked_is_no_stock(tmp_path: Path) -> None:
    """Refused or not, it says nothing of the stock."""
    scene = traded(tmp_path)
    scene.record("a", BUY, 0, (60, 60, 70), (1e6, RATES[1]), refused=True)
    scene.trade("a", 1, 107, (80, 80, 90), checked=RATES[1])
    assert sightings.check(scene.case()) == []


@pytest.mark.parametrize(("begin", "left"), [(71, 90), (31, 39)])
def test_a_value_that_comes_back_may_be_read_again(tmp_path: Path, begin: int, left: int) -> None:
    """One of the two who wrote 105 is enough."""
    scene = traded(tmp_path)
    scene.trade("b", -2, 107, (60, 60, 70))
    look(scene, 105.0, begin, left)
    assert sightings.check(scene.case()) == []


def test_a_value_that_had_gone_and_was_not_back_is_a_doubt(tmp_path: Path) -> None:
    """Of the two who wrote 105 one was overwritten before, and the other came after."""
    scene = traded(tmp_path)
    scene.trade("b", -2, 107, (60, 60, 70))
    look(scene, 105.0, 51, 59)
    (doubt,) = sightings.check(scene.case())
    assert doubt.endswith("saw 105, which had been overwritten before that")


def test_the_first_in_time_is_told(tmp_path: Path) -> None:
    """Whatever order the processes come in; all are counted."""
    scene = traded(tmp_path)
    look(scene, 3.0, 80, 90)
    refused(scene, 4.0, 60, 70)
    (doubt,) = sightings.check(scene.case())
    assert doubt == (
        "DOLLAR: 2 operations saw a stock that was not there then; sell 1 of seller saw 4, which "
        "no recorded operation wrote"
    )


def test_a_row_with_an_update_in_flight_is_left_out(tmp_path: Path) -> None:
    """Nobody recorded what a trader wrote who was killed."""
    scene = traded(tmp_path)
    scene.record("a", BUY, 0, (60, 60, 0), (5.0,))
    look(scene, 112.0, 70, 80)
    assert sightings.check(scene.case()) == []


def test_a_refusal_that_looked_at_nothing_is_a_doubt(tmp_path: Path) -> None:
    """It says that it saw a stock of 0, as who never looked does."""
    scene = traded(tmp_path)
    scene.record("seller", SELL, 0, (60, 60, 70), (5.0, 0.0), refused=True)
    (doubt,) = sightings.check(scene.case())
    assert doubt.endswith("sell 1 of seller saw 0, which no recorded operation wrote")


@settings(max_examples=60, deadline=None)
@given(data=st.data(), small=st.booleans())
def test_no_interleaving_of_real_accesses_is_doubted(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, small: bool
) -> None:
    """Sales are refused and overtaken, values come back, stamps are equal, in one part or many."""
    scene = Scene(tmp_path_factory.mktemp("run") / "run", stock=3.0)
    trades = st.lists(st.tuples(st.just(0), st.sampled_from([-2, -1, 1, 2])), max_size=8)
    programs = data.draw(st.lists(trades, min_size=1, max_size=4))
    simulate(scene, programs, forever(data, st.integers(0, 11)), forever(data, st.integers(0, 2)))
    case = scene.case()
    with pytest.MonkeyPatch.context() as patch:
        if small:
            patch.setattr(scratch, "CHUNK", 3)
        assert sightings.check(case) == []


def brute(
    scene: Scene, stock: float, begin: int, left: int, writes: list[tuple[float, int, int]]
) -> bool:
    """Tell whether a value can have been there, by the words of the rule."""
    return any(
        value == stock
        and entered <= left
        and not any(other > gone and end < begin for _, other, end in writes)
        for value, entered, gone in [(scene.stock, -2, -1), *writes]
    )


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_rule_is_what_is_searched_for(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Updates and looks at any time, of few values: as the rule says, one by one."""
    scene = Scene(tmp_path_factory.mktemp("run") / "run", stock=1.0)
    pieces = st.lists(
        st.tuples(st.integers(1, 3), st.integers(0, 9), st.integers(0, 9)), max_size=5
    )
    writes: list[tuple[float, int, int]] = []
    for who, acts in enumerate(data.draw(st.lists(pieces, min_size=1, max_size=3))):
        now = 1
        for value, pause, length in acts:
            entered, now = now + pause, now + pause + length
            scene.trade(f"t{who}", 1, value - 1, (entered, entered, now))
            writes.append((float(value), entered, now))
    looks = data.draw(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 40), st.integers(0, 9))))
    for value, begin, length in looks:
        look(scene, float(value), begin, begin + length)
    wrong = sum(not brute(scene, v, b, b + length, writes) for v, b, length in looks)
    told = " ".join(sightings.check(scene.case()))
    assert (f" {wrong} operation" in told) is (wrong > 0)
