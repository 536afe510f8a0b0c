"""The exhaustive walk finds all there is, with reduction too, and no more than it says."""

from __future__ import annotations

import json
import random

import pytest

from common.exploration.strategies import Options, State
from common.exploration.strategies.exhaustive import Strategy
from tests.exploration.model import Program, World, drawn, walk

ALL, REDUCED = Options(reduce=False), Options(reduce=True)
BUY: Program = [("read", "stock"), ("write", "stock")]
SALE: Program = [("read", "stock"), ("read", "stock"), ("write", "stock")]


@pytest.mark.parametrize(
    ("programs", "orders"),
    [([BUY, BUY], 6), ([SALE, SALE], 20), ([BUY, BUY, BUY], 90), ([SALE, SALE, BUY], 560)],
)
def test_every_order_is_walked_once(programs: list[Program], orders: int) -> None:
    """(a + b + …)! / (a! · b! · …) orders of steps that never wait."""
    walked, _outcomes, strategy = walk(programs, ALL)
    assert walked == orders
    assert strategy.complete


@pytest.mark.parametrize("seed", range(300))
def test_reduction_leaves_out_no_outcome(seed: int) -> None:
    """The reduced walk finds exactly the outcomes of the full walk, deadlocks among them."""
    programs = drawn(random.Random(seed))
    every, outcomes, _ = walk(programs, ALL)
    fewer, reduced, _ = walk(programs, REDUCED)
    assert reduced == outcomes
    assert fewer <= every


def test_reduction_walks_one_of_each_class() -> None:
    """Programs that share nothing have one class; two updates of one variable have four."""
    apart = [[("write", name)] * 4 for name in "xyz"]
    assert walk(apart, REDUCED)[0] == 1
    assert walk([BUY, BUY], REDUCED)[0] == 4


def test_crossed_locks_deadlock_in_some_orders() -> None:
    """Two locks in opposite orders: the reduced walk meets the state in which nobody can go on."""
    one: Program = [("take", "L"), ("take", "M"), ("give", "M"), ("give", "L")]
    other: Program = [("take", "M"), ("take", "L"), ("give", "L"), ("give", "M")]
    _walked, outcomes, _ = walk([one, other], REDUCED)
    assert any("[1, 1]" in outcome for outcome in outcomes)


@pytest.mark.parametrize(("bound", "orders"), [(0, 2), (1, 4), (2, 6)])
def test_a_bound_walks_what_it_says(bound: int, orders: int) -> None:
    """Of the 6 orders of two buys 2 preempt nobody, 4 at most once, and 6 at most twice."""
    walked, _outcomes, strategy = walk([BUY, BUY], Options(preemptions=bound))
    assert walked == orders
    assert f"at most {bound} preemptions" in strategy.proof(walked)


@pytest.mark.parametrize("options", [ALL, REDUCED], ids=["all", "reduced"])
@pytest.mark.parametrize("stop", [1, 3, 7])
def test_a_walk_goes_on_where_it_was_stopped(options: Options, stop: int) -> None:
    """Stopped, saved as JSON and restored, both parts together walk what one would have walked."""
    programs = [SALE, BUY, BUY]
    whole, outcomes, _ = walk(programs, options)
    first = Strategy(options)
    seen: set[str] = set()
    count = _some(programs, first, seen, stop)
    assert first.begin()
    second = Strategy(options)
    second.restore(json.loads(json.dumps(first.save())))
    count += _some(programs, second, seen, whole)
    assert (count, seen) == (whole, outcomes)


def _some(programs: list[Program], strategy: Strategy, seen: set[str], most: int) -> int:
    count = 0
    while count < most and strategy.begin():
        world = World(programs)
        last = None
        while (chosen := strategy.choose(State(world.stands(), world.enabled(), last))) is not None:
            world.go(chosen)
            last = chosen
        if not world.enabled():
            count += 1
            seen.add(world.outcome())
        strategy.ended()
    return count


def test_an_unfinished_walk_claims_nothing() -> None:
    """Before the last schedule the proof speaks of an unknown number."""
    strategy = Strategy(ALL)
    assert _some([SALE, SALE], strategy, set(), 5) == 5
    assert "unknown number" in strategy.proof(5)


@pytest.mark.parametrize("met", [0, 2])
def test_a_walk_that_was_hardly_taken_up_is_not_over(met: int) -> None:
    """Restored, and saved again before its first schedule was followed: nothing was lost of it."""
    first = Strategy(ALL)
    count = _some([SALE, SALE], first, set(), 5)
    assert first.begin()
    second = Strategy(ALL)
    second.restore(json.loads(json.dumps(first.save())))
    assert second.begin()
    world = World([SALE, SALE])
    for _ in range(met):
        chosen = second.choose(State(world.stands(), world.enabled(), None))
        assert chosen is not None
        world.go(chosen)
    third = Strategy(ALL)
    third.restore(json.loads(json.dumps(second.save())))
    assert count + _some([SALE, SALE], third, set(), 100) == 20
