from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.verdict.properties import negative_stock
from tests.verdict.scenes import Scene, simulate
from tests.verdict.test_lost_update import forever


def test_the_check_and_the_write_that_broke_it_are_told(tmp_path: Path) -> None:
    """The sentence names what was checked, who wrote in between, and what that made of it."""
    scene = Scene(tmp_path / "run", rows=("POUND",), stock=12.0)
    scene.trade("trader-0", -7, 12, (0, 20, 30))
    scene.trade("trader-2", -10, 5, (0, 10, 40), checked=12)
    (found,) = negative_stock.check(scene.case()).findings
    assert found.worst.sentence == (
        "trader-2 checked 12 POUND to sell 10; trader-0 then wrote 5; trader-2 read 5 and wrote -5."
    )
    assert [witness.process for witness in found.worst.witnesses] == ["trader-2", "trader-0"]
    assert (found.count, found.total) == (1, 5.0)


def test_the_lowest_is_the_worst_and_depths_are_summed(tmp_path: Path) -> None:
    """Each sale below zero counts with its depth; first and last are by time."""
    scene = Scene(tmp_path / "run", stock=0.0)
    for number, amount in enumerate((-2, -7, 1, -1), start=1):
        scene.trade("a", amount, scene.final[0], (0, 10 * number, 10 * number + 5), checked=99)
    (found,) = negative_stock.check(scene.case()).findings
    assert (found.count, found.total) == (3, 2.0 + 9.0 + 9.0)
    assert (found.first.amount, found.worst.amount, found.last.amount) == (2.0, 9.0, 9.0)
    assert found.last.witnesses[0].seq == 4


def test_a_purchase_that_leaves_less_than_nothing_is_not_to_blame(tmp_path: Path) -> None:
    """An update that adds to a negative stock mends it."""
    scene = Scene(tmp_path / "run", stock=-5.0)
    scene.trade("a", +2, -5, (0, 10, 20))
    assert negative_stock.check(scene.case()).findings == []


def test_a_stock_of_exactly_nothing_is_allowed(tmp_path: Path) -> None:
    """Zero is not below zero."""
    scene = Scene(tmp_path / "run", stock=5.0)
    scene.trade("a", -5, 5, (0, 10, 20))
    assert negative_stock.check(scene.case()).findings == []


def test_a_little_below_zero_is_below(tmp_path: Path) -> None:
    """A sale that leaves half a unit too few is found."""
    scene = Scene(tmp_path / "run", stock=5.0)
    scene.trade("a", -5.5, 5, (0, 10, 20))
    assert [found.total for found in negative_stock.check(scene.case()).findings] == [0.5]


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_every_sale_below_zero_is_counted(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """In any interleaving of checked sales the count is what really happened."""
    scene = Scene(tmp_path_factory.mktemp("run") / "run", stock=3.0)
    trades = st.lists(st.tuples(st.just(0), st.sampled_from([-2, -1, 1])), max_size=5)
    programs = data.draw(st.lists(trades, min_size=1, max_size=4))
    truth = simulate(scene, programs, forever(data, st.integers(0, 11)), itertools.repeat(1))
    result = negative_stock.check(scene.case())
    assert sum(found.count for found in result.findings) == truth.below
