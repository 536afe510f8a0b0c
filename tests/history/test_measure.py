from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.history import order as order_module
from common.history.measure import measure
from common.history.order import windows
from common.history.sections import inside
from exchange.operations import BUY, SELL
from spooler.operations import CLAIM, PAGE, PRINT
from tests.verdict.scenes import Scene


def trades(tmp_path: Path, *times: tuple[str, int, int, int]) -> Scene:
    """Return a run of purchases: who, asked, entered and left."""
    scene = Scene(tmp_path / "run")
    for who, *stamps in times:
        asked, entered, left = stamps
        scene.record(who, BUY, 0, (asked, entered, left), (1.0, 0.0, 1.0, 0.0, 1.0))
    return scene


def figures(scene: Scene, **facts: object) -> dict[str, object]:
    case = scene.case(**facts)
    return measure(case.history, case.outcome)


def test_operations_are_counted_by_name_and_by_what_became_of_them(tmp_path: Path) -> None:
    """Done and refused ones were tried; one in flight may not have happened."""
    scene = trades(tmp_path, ("a", 0, 1, 2), ("a", 3, 4, 5), ("b", 0, 1, 2_000_000_000))
    scene.record("b", SELL, 0, (6, 7, 2_000_000_001), (1.0,), refused=True)
    scene.record("a", SELL, 0, (6, 7, 0), (1.0,))
    found = figures(scene)
    assert found["operations"] == 4
    assert found["by_name"] == {"buy": 3, "sell": 1}
    assert (found["refused"], found["in_flight"]) == (1, 1)
    assert found["wall_s"] == pytest.approx(2.000000001)
    assert found["per_second"] == pytest.approx(2.0)


def test_overlap_is_from_entering_and_contention_from_asking(tmp_path: Path) -> None:
    """One that waited at the lock met the other, but was never inside with it."""
    found = figures(trades(tmp_path, ("a", 5, 10, 20), ("b", 15, 21, 30), ("c", 24, 25, 40)))
    assert (found["overlaps"], found["contended"]) == (1, 2)


def test_who_was_refused_was_in_no_section_and_still_waited(tmp_path: Path) -> None:
    """Sections are of what was done; a wait for the lock is one whatever comes of it."""
    scene = trades(tmp_path, ("a", 0, 10, 20))
    scene.record("b", SELL, 0, (11, 15, 30), (1.0,), refused=True)
    case = scene.case()
    found = measure(case.history, case.outcome)
    assert found["places"]["table"]["sections"] == 1
    assert (found["overlaps"], found["contended"]) == (0, 0)
    assert found["waits"]["total_s"] == pytest.approx(14e-9)


def test_the_ranks_of_waits_do_not_depend_on_their_order(tmp_path: Path) -> None:
    """Of 1 to 3000 µs, in an order of luck, the middle one and the one that 99 % do not exceed."""
    lengths = np.random.default_rng(1).permutation(np.arange(1, 3001)).tolist()
    times = [("a", 10**7 * at, 10**7 * at + 1000 * us, 10**7 * at + 5_000_000)
             for at, us in enumerate(lengths)]  # fmt: skip
    waits = figures(trades(tmp_path, *times))["waits"]
    assert isinstance(waits, dict)
    assert (waits["median_us"], waits["p99_us"], waits["max_us"]) == (1500.0, 2970.0, 3000.0)


def test_different_rows_never_meet(tmp_path: Path) -> None:
    """Critical sections overlap on one object only."""
    scene = Scene(tmp_path / "run", rows=("DOLLAR", "EURO"))
    for row, who in enumerate("ab"):
        scene.record(who, BUY, row, (5, 10, 20), (1.0,))
    assert figures(scene)["contended"] == 0


def test_the_pages_of_a_job_are_inside_its_section(tmp_path: Path) -> None:
    """A printer's own pages do not overlap its printing."""
    scene = Scene(tmp_path / "run", paper=[])
    for page in (1, 2):
        scene.record("p", PAGE, 0, (10 * page,) * 2 + (10 * page + 5,), (page, 2.0, 0.0, 9.0))
    scene.job("p", PRINT, 1, (5, 6, 30))
    found = figures(scene)
    assert (found["overlaps"], found["contended"]) == (0, 0)
    assert found["places"] == {
        "paper": {"sections": 1, "overlaps": 0, "contended": 0, "processes": 1}
    }


def test_the_moves_of_a_spool_are_no_unguarded_sections(tmp_path: Path) -> None:
    """The spool's own lock puts them in order, however long the processes took around it."""
    scene = Scene(tmp_path / "run")
    for process, begin in (("p", 10), ("q", 15)):
        scene.record(process, CLAIM, 0, (begin, begin, begin + 20), (7.0, 7.0, 0.0, 0.0, 0.0), 1)
    found = figures(scene)
    assert (found["overlaps"], found["contended"]) == (0, 1)


def test_waiting_is_from_asking_to_entering(tmp_path: Path) -> None:
    """Median, 99th percentile, maximum in µs; the sum in s. What did not wait is not a wait."""
    times = [("a", 1_000_000 * n, 1_000_000 * n + 1000 * n, 1_000_000 * n + 200_000)
             for n in range(101)]  # fmt: skip
    times += [("b", 1000 * n, 1000 * n, 1000 * n + 10) for n in range(9)]
    found = figures(trades(tmp_path, *times))
    assert found["waits"] == {
        "median_us": 50.0, "p99_us": 99.0, "max_us": 100.0, "total_s": pytest.approx(5050e-6),
    }  # fmt: skip


def test_fairness_is_jains_index_of_the_rates(tmp_path: Path) -> None:
    """Rates 3 and 1 give (3 + 1)² / (2 × (9 + 1)) = 0.8."""
    times = [("a", 10 * n, 10 * n + 1, 10 * n + 2) for n in range(3)]
    found = figures(trades(tmp_path, *times, ("b", 0, 1, 22)))
    assert found["fairness"] == {
        "effect": "update",
        "jain": pytest.approx(0.8),
        "smallest": pytest.approx(0.25),
        "largest": pytest.approx(0.75),
    }


def test_processor_time_is_summed(tmp_path: Path) -> None:
    """By process as well."""
    scene = trades(tmp_path, ("a", 0, 1, 2), ("b", 0, 1, 2))
    scene.outcomes["a"].cpu_s, scene.outcomes["b"].cpu_s = 0.25, 0.5
    assert figures(scene)["cpu_s"] == {"total": 0.75, "by_process": {"a": 0.25, "b": 0.5}}


def test_an_empty_run_has_figures_too(tmp_path: Path) -> None:
    """Zeros, and nothing divided by them."""
    scene = Scene(tmp_path / "run")
    found = figures(scene)
    assert (found["operations"], found["per_second"], found["overlaps"]) == (0, 0.0, 0)


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5)), max_size=5),
        min_size=1,
        max_size=4,
    )
)
def test_overlapping_intervals_are_those_that_begin_inside_another_processes(
    gaps: list[list[tuple[int, int]]],
) -> None:
    """The count by sorting equals the count by looking at every pair; touching is not inside."""
    intervals = []
    for process, program in enumerate(gaps):
        now = 0
        for gap, length in program:
            intervals.append((now + gap, now + gap + length, process))
            now += gap + length
    order = sorted(range(len(intervals)), key=lambda n: intervals[n][0])
    slow = 0
    for place, n in enumerate(order):
        begin, _, process = intervals[n]
        slow += any(intervals[m][2] != process and begin < intervals[m][1] for m in order[:place])
    columns = np.array(intervals, np.int64).reshape(-1, 3)
    begins, ends = columns[:, 0], columns[:, 1]
    assert inside(begins, ends, windows(begins, [0, len(begins)])) == slow
    bounds = np.cumsum([0, *map(len, gaps)]).tolist()
    usual, order_module.WINDOW = order_module.WINDOW, 4
    try:
        assert inside(begins, ends, windows(begins, bounds)) == slow
    finally:
        order_module.WINDOW = usual
