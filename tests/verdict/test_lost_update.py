from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.verdict.properties import lost_update
from exchange import operations as exchange
from tests.verdict.scenes import GRAIN, Scene, simulate

EQUAL = "equal values: it cannot be told which update survived"


def test_two_traders_who_read_the_same_value_and_the_sentence_that_says_so(tmp_path: Path) -> None:
    """The pair that raced is named with what each read and wrote, when, and what it cost."""
    scene = Scene(tmp_path / "run", stock=9450.0)
    scene.trade("trader-1", -50, 9450, (0, 1000, 9000))
    scene.trade("trader-3", +10, 9450, (0, 2000, 5000))
    scene.final[0] = 9400.0
    result = lost_update.check(scene.case())
    (found,) = result.findings
    assert found.worst.sentence == (
        "trader-3 read 9,450 DOLLAR and wrote 9,460 (+10); trader-1, who had also read 9,450, "
        "wrote 9,400 over it 4 µs later: 10 DOLLAR bought by trader-3 are gone."
    )
    assert [witness.process for witness in found.worst.witnesses] == ["trader-3", "trader-1"]
    assert found.worst.witnesses[0].left_ns == 5000
    assert found.worst.witnesses[0].values["written"] == 9460.0
    assert (found.count, found.total) == (1, 10.0)
    assert result.measures["missing"] == result.measures["lost"] == {"DOLLAR": 10.0}
    assert found.explanation.startswith("1 update of 2 was lost; in stock: 10 DOLLAR too few. tr")


def test_an_update_on_top_of_a_lost_one_is_lost_with_it(tmp_path: Path) -> None:
    """A trade whose ancestor was overwritten names that ancestor and the write over it."""
    scene = Scene(tmp_path / "run", stock=100.0)
    scene.trade("trader-1", +7, 100, (0, 10, 90))
    base = scene.trade("trader-2", +1, 100, (0, 20, 30))
    scene.trade("trader-3", -2, base, (0, 40, 50))
    scene.final[0] = 107.0
    (found,) = lost_update.check(scene.case()).findings
    assert found.count == 2
    assert found.worst.sentence == (
        "trader-3 read 101 DOLLAR and wrote 99 (-2), on top of the 101 that trader-2 had written "
        "after it read 100; trader-1, who had also read 100, wrote 107 at about the same time, and "
        "that is what the others went on from: 2 DOLLAR sold by trader-3 are still in stock."
    )
    assert [w.process for w in found.worst.witnesses] == ["trader-3", "trader-2", "trader-1"]
    assert found.first.amount == 1.0
    assert found.last.amount == 2.0


def test_a_sale_and_a_purchase_of_the_same_amount_both_count(tmp_path: Path) -> None:
    """Losses that cancel in the stock are still found; the total is of absolute amounts."""
    scene = Scene(tmp_path / "run", stock=100.0)
    scene.trade("a", +5, 100, (0, 10, 20))
    scene.trade("b", -5, 100, (0, 11, 21))
    scene.trade("c", +1, 100, (0, 12, 22))
    result = lost_update.check(scene.case())
    assert (result.findings[0].count, result.findings[0].total) == (2, 10.0)
    assert result.measures["missing"] == result.measures["lost"] == {"DOLLAR": 0.0}


def test_two_currencies_are_not_added_up(tmp_path: Path) -> None:
    """The measures hold the missing stock of each row, signed and exact."""
    scene = Scene(tmp_path / "run", rows=("DOLLAR", "EURO"), stock=100.0)
    fraction = 3 + 5 * GRAIN
    for row, amount in ((0, fraction), (1, -fraction)):
        scene.trade("a", amount, 100, (0, 10 + row, 20 + row), row)
        scene.trade("b", 1, 100, (0, 10 + row, 30 + row), row)
    measures = lost_update.check(scene.case()).measures
    assert measures["missing"] == {"DOLLAR": fraction, "EURO": -fraction}
    assert measures["lost"] == measures["missing"]


def test_equal_stamps_of_neighbours_under_a_lock_are_in_order(tmp_path: Path) -> None:
    """Intervals are closed: one that begins at the very stamp at which another ends follows it."""
    scene = Scene(tmp_path / "run", stock=5.0)
    value, now = 5.0, 10
    for number, amount in enumerate((1, -1, 1, -1, 1, 1, -1)):
        value = scene.trade(f"trader-{number % 2}", amount, value, (now, now, now + 5))
        now += 5
    result = lost_update.check(scene.case())
    assert (result.findings, result.doubts) == ([], [])


def test_a_long_section_that_wrote_last_is_in_order_too(tmp_path: Path) -> None:
    """Whole amounts, ordered by the end of their sections: each read what the last one wrote."""
    scene = Scene(tmp_path / "run", stock=100.0)
    scene.trade("a", +1, 100, (0, 30, 40))
    scene.trade("b", -1, 101, (0, 50, 60))
    scene.trade("c", +1, 100, (0, 10, 100))
    result = lost_update.check(scene.case())
    assert (result.findings, result.doubts) == ([], [])


def test_equal_values_that_a_serial_order_explains_accuse_nobody(tmp_path: Path) -> None:
    """Nothing is missing and each value was read as often as written: perhaps none was lost.

    Neither end of the sections orders them all: c began before a, and d ended before e.
    """
    scene = Scene(tmp_path / "run", stock=100.0)
    scene.trade("a", +1, 100, (0, 30, 40))
    scene.trade("b", -1, 101, (0, 50, 60))
    scene.trade("c", +1, 100, (0, 10, 100))
    scene.trade("e", +2, 101, (0, 110, 160))
    scene.trade("d", +2, 103, (0, 120, 150))
    result = lost_update.check(scene.case())
    assert (result.findings, result.measures["lost"]) == ([], {"DOLLAR": 0.0})
    assert result.doubts == [f"DOLLAR: {EQUAL}"]


def test_an_order_of_equal_values_that_the_stamps_forbid_is_a_doubt(tmp_path: Path) -> None:
    """The only trail lets c read 100 after b wrote it, and b began after c had ended."""
    scene = Scene(tmp_path / "run", stock=100.0)
    scene.trade("a", +5, 100, (0, 70, 80))
    scene.trade("b", -5, 105, (0, 10, 100))
    scene.trade("c", +7, 100, (0, 50, 60))
    result = lost_update.check(scene.case())
    assert (result.findings, result.doubts) == ([], [f"DOLLAR: {EQUAL}"])


def test_losses_that_cancel_among_equal_values_are_found(tmp_path: Path) -> None:
    """Two read 100 and one wrote it: no order keeps both, whatever the sum says."""
    scene = Scene(tmp_path / "run", stock=100.0)
    scene.trade("a", +1, 100, (0, 10, 20))
    scene.trade("b", -1, 101, (0, 30, 40))
    scene.trade("c", +2, 100, (0, 50, 80))
    scene.trade("d", -2, 100, (0, 51, 81))
    scene.trade("e", +4, 100, (0, 52, 82))
    result = lost_update.check(scene.case())
    assert result.doubts == []
    assert (result.findings[0].count, result.measures["lost"]) == (2, {"DOLLAR": 0.0})


def test_sums_beyond_64_bits_are_exact(tmp_path: Path) -> None:
    """Four amounts of 3e9 in units of 2**-30 are more than an integer of the machine holds."""
    scene = Scene(tmp_path / "run", stock=0.0)
    for number in range(4):
        scene.trade(f"t{number}", 3e9, 0.0, (0, 10, 100 + number))
    result = lost_update.check(scene.case())
    assert result.measures["missing"] == result.measures["lost"] == {"DOLLAR": 9e9}
    assert result.findings[0].total == 9e9


def test_sums_of_negative_amounts_beyond_64_bits_are_exact(tmp_path: Path) -> None:
    """Sales, the last of which took all the others' place."""
    scene = Scene(tmp_path / "run", stock=4e9)
    for number in range(5):
        scene.trade(f"t{number}", -4e9 - GRAIN * 2**10, 4e9, (0, 10, 100 + number))
    measures = lost_update.check(scene.case()).measures
    assert measures["missing"] == measures["lost"] == {"DOLLAR": -16e9 - 4 * GRAIN * 2**10}


def test_an_update_of_a_row_that_is_not_there_is_a_doubt(tmp_path: Path) -> None:
    """It changed something, and nothing says what."""
    scene = Scene(tmp_path / "run", stock=100.0)
    scene.trade("a", 1, 100, (0, 10, 20))
    scene.record("a", exchange.BUY, 77, (50, 50, 60), (5.0, 1.0, 1.0, 3.0, 8.0))
    result = lost_update.check(scene.case())
    assert result.doubts == [
        "1 update changed a row that the table does not have; the first is number 2 of a, of row 77"
    ]


def test_equal_values_are_settled_by_time(tmp_path: Path) -> None:
    """Where two trades wrote one value, the reader's parent is the latest that can precede it."""
    scene = Scene(tmp_path / "run", stock=5.0)
    scene.trade("a", +1, 5, (0, 10, 20))
    scene.trade("b", -1, 6, (0, 30, 40))
    scene.trade("c", +1, 5, (0, 50, 90))
    scene.trade("d", +2, 5, (0, 60, 80))
    scene.final[0] = 6.0
    (found,) = lost_update.check(scene.case()).findings
    assert found.count == 1
    assert "d read 5 DOLLAR and wrote 7 (+2); c, who had also read 5" in found.worst.sentence


def test_a_trail_that_ends_nowhere_is_taken_back(tmp_path: Path) -> None:
    """The latest writer of a value may be a later one, by a long interval: then it is another."""
    scene = Scene(tmp_path / "run", stock=5.0)
    scene.trade("a", +1, 5, (0, 10, 20))
    scene.trade("b", +1, 6, (0, 30, 100))
    scene.trade("c", +1, 7, (0, 40, 50))
    scene.trade("d", -2, 8, (0, 60, 90))
    scene.trade("e", +1, 8, (0, 61, 95))
    result = lost_update.check(scene.case())
    assert result.doubts == []
    assert result.findings[0].count == 1
    assert result.findings[0].first.witnesses[0].process == "d"
    assert result.measures["lost"] == {"DOLLAR": -2.0}


def test_a_write_that_came_later_is_not_what_was_read(tmp_path: Path) -> None:
    """Of two trades that wrote 6, the one that was lost is the one that began after the read."""
    scene = Scene(tmp_path / "run", stock=5.0)
    scene.trade("a", +1, 5, (0, 10, 20))
    scene.trade("b", +1, 6, (0, 30, 40))
    scene.trade("c", -2, 7, (0, 45, 46))
    scene.trade("d", +1, 5, (0, 50, 60))
    scene.trade("e", +4, 5, (0, 51, 70))
    (found,) = lost_update.check(scene.case()).findings
    assert found.count == 1
    assert [witness.process for witness in found.first.witnesses] == ["d", "e"]


def test_of_several_who_read_one_value_the_next_write_is_to_blame(tmp_path: Path) -> None:
    """By the time of leaving; but the write that survived was the last, whenever it was stamped."""
    scene = Scene(tmp_path / "run", stock=5.0)
    scene.trade("a", +1, 5, (0, 10, 20))
    scene.trade("b", +2, 5, (0, 11, 30))
    scene.trade("c", +4, 5, (0, 12, 25))
    (found,) = lost_update.check(scene.case()).findings
    pairs = [[w.process for w in each.witnesses] for each in (found.first, found.last)]
    assert pairs == [["a", "b"], ["b", "c"]]
    assert (
        "wrote 9 at about the same time, and that is what the others went on from"
        in found.last.sentence
    )


def test_a_value_that_no_one_recorded_is_a_doubt(tmp_path: Path) -> None:
    """A foreign writer makes the row undecided: losses cannot be told from its changes."""
    scene = Scene(tmp_path / "run", stock=100.0)
    scene.trade("a", +1, 77, (0, 10, 20))
    result = lost_update.check(scene.case())
    assert result.findings == []
    assert result.doubts == [
        "DOLLAR: the value 77 that a read was written by no recorded operation: another program "
        "writes to this row"
    ]
    assert result.measures["missing"] == {"DOLLAR": 23.0}


def test_a_final_stock_that_no_one_wrote_is_a_doubt(tmp_path: Path) -> None:
    """So does a last value from nowhere."""
    scene = Scene(tmp_path / "run", stock=100.0)
    scene.trade("a", +1, 100, (0, 10, 20))
    scene.final[0] = 5.0
    result = lost_update.check(scene.case())
    assert result.findings == []
    assert "no order of the recorded operations" in result.doubts[0]


def test_a_row_that_changed_without_any_operation_is_a_doubt(tmp_path: Path) -> None:
    """A row that nobody touched must be as it was."""
    scene = Scene(tmp_path / "run")
    scene.recorder("a")
    scene.final[0] = 1.0
    assert len(lost_update.check(scene.case()).doubts) == 1


@pytest.mark.parametrize("seen", ["by a later read", "in the final stock"])
def test_an_operation_in_flight_counts_when_its_value_was_seen(tmp_path: Path, seen: str) -> None:
    """A trader killed after its write did apply it: the value proves it, and nothing is missing."""
    scene = Scene(tmp_path / "run", stock=100.0)
    scene.trade("a", +1, 100, (0, 10, 20))
    scene.record("b", exchange.BUY, 0, (0, 30, 0), (5.0,))
    scene.final[0] = 106.0
    if seen == "by a later read":
        scene.trade("c", +2, 106, (0, 40, 50))
    result = lost_update.check(scene.case())
    assert (result.findings, result.doubts) == ([], [])
    assert result.measures["missing"] == {"DOLLAR": 0.0}


def test_an_operation_in_flight_that_left_no_trace_does_not_count(tmp_path: Path) -> None:
    """A trader killed before its write lost nothing."""
    scene = Scene(tmp_path / "run", stock=100.0)
    scene.trade("a", +1, 100, (0, 10, 20))
    scene.record("b", exchange.BUY, 0, (0, 30, 0), (5.0,))
    result = lost_update.check(scene.case())
    assert (result.findings, result.doubts) == ([], [])


@pytest.mark.parametrize("seen", ["by a later read", "in the final stock"])
def test_who_died_in_the_middle_is_named_as_the_writer_of_a_strange_value(
    tmp_path: Path, seen: str
) -> None:
    """It had said 5 and the stock grew by 6: the doubt names it before any other program."""
    scene = Scene(tmp_path / "run", stock=100.0)
    scene.trade("a", +1, 100, (0, 10, 20))
    scene.record("b", exchange.BUY, 0, (0, 30, 0), (5.0,))
    scene.final[0] = 107.0
    if seen == "by a later read":
        scene.trade("c", +2, 107, (0, 40, 50))
    (doubt,) = lost_update.check(scene.case()).doubts
    assert "b may have written it, in the middle of an update, or another program" in doubt


@pytest.mark.parametrize("amount", [0.1, float("nan"), float("inf"), 1e300])
def test_values_that_are_not_exact_are_a_doubt(tmp_path: Path, amount: float) -> None:
    """Conservation is an equality only for multiples of 2**-30."""
    scene = Scene(tmp_path / "run", stock=100.0)
    scene.trade("a", amount, 100, (0, 10, 20))
    result = lost_update.check(scene.case())
    assert result.findings == []
    assert "not a multiple of 2**-30" in result.doubts[0]


def test_a_record_that_does_not_add_up_is_a_doubt(tmp_path: Path) -> None:
    """A trade must write what it read and its amount, or its record is not to be trusted."""
    scene = Scene(tmp_path / "run", stock=100.0)
    scene.record("a", exchange.BUY, 0, (0, 10, 20), (5.0, 3.0, 3.0, 100.0, 106.0))
    scene.final[0] = 106.0
    result = lost_update.check(scene.case())
    assert result.doubts == [
        "DOLLAR: 1 update wrote something other than the value read plus the amount; the first is "
        "number 1 of a"
    ]


def test_without_a_final_table_nothing_is_said(tmp_path: Path) -> None:
    """Trades whose table is gone are a doubt, not a clean run."""
    scene = Scene(tmp_path / "run")
    scene.trade("a", 1, 10000, (0, 10, 20))
    assert len(lost_update.check(scene.case(final=None)).doubts) == 1


def forever(draw: st.DataObject, values: st.SearchStrategy[int]) -> Iterator[int]:
    """Yield drawn values, without asking for more than a run of them at a time."""
    while True:
        yield from draw.draw(st.lists(values, min_size=16, max_size=16))


wholes = st.integers(1, 3)


@pytest.mark.parametrize("named", [True, False], ids=["named by a fraction", "whole numbers"])
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_lost_amounts_add_up_to_the_missing_stock_in_any_interleaving(
    named: bool, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whoever goes when: Σ lost equals the missing stock to the last bit, row by row.

    With amounts that name their operation, as many are found lost as were lost.
    """
    scene = Scene(tmp_path_factory.mktemp("run") / "run", rows=("DOLLAR", "EURO"), stock=4.0)
    trade = st.tuples(st.integers(0, 1), wholes, st.sampled_from([1, -1]))
    drawn = data.draw(st.lists(st.lists(trade, max_size=6), min_size=1, max_size=4))
    # A power of two a trade: every sum of some of them is a different one.
    names = itertools.count()
    programs = [
        [
            (row, sign * (whole + (2 ** next(names) * GRAIN if named else 0)))
            for row, whole, sign in program
        ]
        for program in drawn
    ]
    truth = simulate(
        scene,
        programs,
        forever(data, st.integers(0, 11)),
        forever(data, st.integers(0, 2)),
    )
    result = lost_update.check(scene.case())
    # Whole amounts may leave several orders possible; a name for each leaves one.
    possible = set() if named else {f"{row}: {EQUAL}" for row in scene.rows}
    assert possible.issuperset(result.doubts)
    assert result.measures["missing"] == truth.missing
    assert result.measures["lost"] == truth.missing
    if named:
        assert result.measures["lost_updates"] == len(truth.lost)
        first = [(w.process, w.seq) for f in result.findings for w in f.first.witnesses[:1]]
        assert truth.lost.issuperset(first)


@settings(max_examples=60, deadline=None)
@given(
    trades=st.lists(st.tuples(st.integers(0, 2), wholes, st.sampled_from([1, -1])), min_size=1),
    gaps=st.lists(st.integers(0, 1), min_size=100, max_size=100),
)
def test_a_locked_run_with_equal_amounts_loses_nothing(
    tmp_path_factory: pytest.TempPathFactory,
    trades: list[tuple[int, float, int]],
    gaps: list[int],
) -> None:
    """However often the same value comes back, disjoint critical sections are no lost update."""
    scene = Scene(tmp_path_factory.mktemp("run") / "run", stock=0.0)
    value, now = 0.0, 10
    for (who, amount, sign), gap in zip(trades, itertools.cycle(gaps), strict=False):
        value = scene.trade(f"trader-{who}", amount * sign, value, (now, now, now + 1))
        now += 1 + gap
    result = lost_update.check(scene.case())
    assert (result.findings, result.doubts) == ([], [])


def test_a_hundred_thousand_operations(tmp_path: Path) -> None:
    """A long run with known losses is counted to the last one."""
    scene = Scene(tmp_path / "run", stock=0.0)
    source = np.random.default_rng(1)
    value, losses, missing = 0.0, 0, 0.0
    for number in range(100_000):
        amount = (int(source.integers(1, 1 << 34)) | 1) * GRAIN
        written = scene.trade(f"t{number % 4}", amount, value, (0, 10 * number, 10 * number + 15))
        if number % 50 == 7:
            losses, missing = losses + 1, missing + amount
        else:
            value = written
    result = lost_update.check(scene.case())
    assert result.measures["lost_updates"] == losses
    assert result.measures["lost"] == result.measures["missing"] == {"DOLLAR": missing}
