"""How ``bench`` measures: in turns, on the same terms, with intervals; the unlike is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks import grid
from benchmarks.grid.measuring import (
    OURS,
    Contest,
    Effort,
    Entrant,
    Sample,
    Series,
    Unlike,
    interval,
    measure,
    ratios,
)
from benchmarks.grid.stations import StationFailed
from common import kinds
from tests.benchmarks.made_up import TERMS, entrant, series


@pytest.mark.parametrize(
    ("count", "left_out", "coverage"), [(3, 0, 0.75), (5, 0, 0.9375), (11, 2, 0.934570)]
)
def test_an_interval_is_the_narrowest_that_is_sure_enough(
    count: int, left_out: int, coverage: float
) -> None:
    """Of 11 figures the third and the ninth; of 5 the ends; of 3 their ends, and less surely."""
    found = interval([float(n) for n in reversed(range(count))])
    assert found.median == (count - 1) / 2
    assert (found.low, found.high) == (left_out, count - 1 - left_out)
    assert found.coverage == pytest.approx(coverage, abs=1e-6)


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        (series("b", [1.0], TERMS._replace(payload=1024)), "payload 64 against 1024"),
        (series("b", [1.0], TERMS._replace(cores=2)), "cores 1 against 2"),
        (series("b", [1.0], TERMS._replace(processes=8)), "processes 2 against 8"),
        (series("b", [1.0], TERMS._replace(what="round trip")), "what throughput against round"),
        (series("b", [1.0], busy=True), "b waits busily, a sleeps"),
        (series("b", [1.0, 2.0]), "did not take turns"),
    ],
)
def test_what_is_not_alike_is_not_compared(other: Series, difference: str) -> None:
    """Payload, pinning, number of processes and the way of waiting: the difference is named."""
    with pytest.raises(Unlike, match=difference):
        ratios(series("a", [1.0]), other)


def test_a_ratio_is_of_speed_whichever_figure_is_better() -> None:
    """Twice the messages, or half the time, is twice as fast; and it is taken round by round."""
    assert ratios(series("a", [2, 40]), series("b", [1, 20])) == [2, 2]
    trips = series("a", [5, 50], more=False), series("b", [10, 100], more=False)
    assert ratios(*trips) == [2, 2]


def test_entrants_take_turns_after_they_have_warmed_up() -> None:
    """Each is tried until it is known how many are enough; then A B A B, always as many."""
    calls: list[tuple[str, int]] = []

    def runner(name: str, each: float) -> Callable[[int], Sample]:
        def run(count: int) -> Sample:
            calls.append((name, count))
            return Sample(1.0, count * each, 0.0)

        return run

    entrants = [
        Entrant("a", "a", OURS, runner("a", 0.001)),
        Entrant("b", "b", OURS, runner("b", 0.002)),
    ]
    measure(Contest(TERMS, "", True, entrants), Effort(3, 1.0))
    assert calls[-6:] == [("a", 1000), ("b", 500)] * 3
    assert set(calls[:-6]) == {
        ("a", 16),
        ("a", 128),
        ("a", 1000),
        ("b", 16),
        ("b", 128),
        ("b", 500),
    }


def test_a_first_try_that_was_held_up_does_not_count() -> None:
    """A machine that stands still for a second in the first try does not make every turn short."""
    walls = iter([1.0])
    counts: list[int] = []

    def run(count: int) -> Sample:
        counts.append(count)
        return Sample(1.0, next(walls, count * 0.001), 0.0)

    measure(Contest(TERMS, "", True, [Entrant("a", "a", OURS, run)]), Effort(2, 2.0))
    assert counts[-2:] == [2000, 2000]


def test_who_settles_slowly_has_longer_turns() -> None:
    """An entrant that shows a beginning only for a while is run for longer than the others."""
    counts: list[int] = []

    def run(count: int) -> Sample:
        counts.append(count)
        return Sample(1.0, count * 0.001, 0.0)

    measure(Contest(TERMS, "", True, [Entrant("a", "a", OURS, run, settles=5.0)]), Effort(1, 1.0))
    assert counts[-1] == 5000


def test_who_fails_is_left_out_and_it_is_said_why() -> None:
    """Failing in a late turn, with the others measured as if it had not been there."""
    turns = iter(range(4))

    def run(count: int) -> Sample:
        if next(turns, None) is None:
            raise StationFailed("it broke")
        return Sample(1.0, 1.0, 0.0)

    entrants = [Entrant("a", "a", OURS, run), entrant("b")]
    found = measure(Contest(TERMS, "", True, entrants), Effort(5, 0.001))
    assert found.failed == {"a": "it broke"}
    assert list(found.series) == ["b"]
    assert found.ratio("b", "a") is None


@pytest.mark.parametrize("package", [kinds.LOCKS, kinds.CHANNELS])
def test_every_kind_says_whether_it_sleeps(package: str) -> None:
    """Its word for waiting names what it sleeps in, or is one of those that mean a busy wait."""
    for kind in kinds.names(package):
        module = kinds.load(package, kind)
        waiting = module.facts(module.Options()).waiting
        sleeps = "sleeps in" in waiting or "sigtimedwait(2)" in waiting or "sleeps" in waiting
        nobody = "nobody ever waits" in waiting or "mq_notify" in waiting
        assert grid.busy(waiting) != (sleeps or nobody), f"{kind}: {waiting}"
