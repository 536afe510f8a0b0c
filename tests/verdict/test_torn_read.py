from __future__ import annotations

from pathlib import Path

import pytest

from common.verdict.properties import torn_read
from exchange.operations import READ_ROW, SET_RATES
from tests.verdict.scenes import RATES, Scene


def setter(tmp_path: Path, *pairs: tuple[float, float]) -> Scene:
    """Return a run in which the rates of a row were set to ``pairs``, one after the other."""
    scene = Scene(tmp_path / "run")
    for number, pair in enumerate(pairs):
        at = 100 * number
        scene.record("setter", SET_RATES, 0, (at + 10, at + 20, at + 30), pair)
    return scene


def test_a_row_that_no_one_wrote_names_the_two_changes_it_mixes(tmp_path: Path) -> None:
    """The sentence says from which change each half is."""
    scene = setter(tmp_path, (4.0, 4.5), (5.0, 5.5))
    scene.record("auditor", READ_ROW, 0, (110, 120, 125), (5.0, 4.5, 10000.0))
    (found,) = torn_read.check(scene.case()).findings
    assert found.worst.sentence == (
        "auditor read sell 5 and buy 4.5 of DOLLAR, a row that no one ever wrote: the sell rate is "
        "from change 2 of setter (5, 5.5), the buy rate from change 1 of setter (4, 4.5)."
    )
    assert [witness.operation for witness in found.worst.witnesses] == [
        "read_row", "set_rates", "set_rates",
    ]  # fmt: skip
    assert (found.count, found.total) == (1, 1.0)
    assert found.explanation.startswith("1 snapshot of 1 saw a row")


def test_half_of_the_opening_row_is_torn_too(tmp_path: Path) -> None:
    """A change seen half done beside what was there before it."""
    scene = setter(tmp_path, (4.0, 4.5))
    scene.record("auditor", READ_ROW, 0, (0, 21, 22), (4.0, RATES[1], 10000.0))
    (found,) = torn_read.check(scene.case()).findings
    assert "the buy rate from the opening row" in found.worst.sentence


@pytest.mark.parametrize(
    ("pair", "begin", "left"),
    [
        (RATES, 0, 20), (RATES, 30, 50), ((4.0, 4.5), 0, 20), ((4.0, 4.5), 130, 150),
        ((5.0, 5.5), 120, 130),
    ],
)  # fmt: skip
def test_a_whole_row_that_may_have_been_there_is_fine(
    tmp_path: Path, pair: tuple[float, float], begin: int, left: int
) -> None:
    """Before, during and after a change; at equal stamps too. The stock is not part of the pair."""
    scene = setter(tmp_path, (4.0, 4.5), (5.0, 5.5))
    scene.record("auditor", READ_ROW, 0, (begin, begin, left), (*pair, 7.0))
    result = torn_read.check(scene.case())
    assert (result.findings, result.doubts) == ([], [])


@pytest.mark.parametrize(
    ("pair", "begin", "left", "objection"),
    [
        (RATES, 31, 50, "3.73, which had been overwritten before that"),
        ((4.0, 4.5), 131, 150, "4, which had been overwritten before that"),
        ((5.0, 5.5), 50, 119, "5, which was written only after that"),
    ],
)
def test_a_whole_row_that_was_not_there_is_a_doubt(
    tmp_path: Path, pair: tuple[float, float], begin: int, left: int, objection: str
) -> None:
    """Nobody mixed it, but somebody had surely changed it before, or did so only later."""
    scene = setter(tmp_path, (4.0, 4.5), (5.0, 5.5))
    scene.record("auditor", READ_ROW, 0, (begin, begin, left), (*pair, 7.0))
    result = torn_read.check(scene.case())
    assert result.findings == []
    assert [doubt.partition(";")[0] for doubt in result.doubts] == [
        f"DOLLAR: 1 snapshot saw a {rate} rate that was not there then" for rate in ("sell", "buy")
    ]
    assert result.doubts[0].endswith(f"read_row 1 of auditor saw {objection}")


@pytest.mark.parametrize("seen", [True, False])
def test_a_mixture_is_not_called_out_of_date_too(tmp_path: Path, seen: bool) -> None:
    """One half of it is old: that is what makes it a mixture."""
    scene = setter(tmp_path, (4.0, 4.5), (5.0, 5.5))
    if seen:
        scene.record("auditor", READ_ROW, 0, (300, 300, 310), (4.0, 5.5, 7.0))
    result = torn_read.check(scene.case(final=[[5.0 if seen else 4.0, 5.5, 10000.0]]))
    assert (len(result.findings), result.doubts) == (1, [])


def test_a_row_that_comes_back_may_be_read_again(tmp_path: Path) -> None:
    """Where a value was written twice, one of the two writers is enough."""
    scene = setter(tmp_path, (4.0, 4.5), (5.0, 5.5), (4.0, 4.5))
    scene.record("auditor", READ_ROW, 0, (300, 300, 310), (4.0, 4.5, 7.0))
    assert torn_read.check(scene.case()).doubts == []


def test_with_a_change_in_flight_nothing_is_out_of_date(tmp_path: Path) -> None:
    """What was written in it, and when, nobody recorded."""
    scene = setter(tmp_path, (4.0, 4.5))
    scene.record("setter", SET_RATES, 0, (200, 210, 0), (6.0,))
    scene.record("auditor", READ_ROW, 0, (300, 300, 310), (*RATES, 7.0))
    assert torn_read.check(scene.case()).doubts == []


def test_a_table_that_ended_with_what_was_overwritten_is_a_doubt(tmp_path: Path) -> None:
    """The last change had come after it, for certain."""
    scene = setter(tmp_path, (4.0, 4.5), (5.0, 5.5))
    result = torn_read.check(scene.case(final=[[4.0, 4.5, 10000.0]]))
    assert result.findings == []
    assert result.doubts == [
        "DOLLAR: the table ended with the sell rate 4, which had been overwritten before that",
        "DOLLAR: the table ended with the buy rate 4.5, which had been overwritten before that",
    ]


def test_rates_of_another_row_do_not_excuse_a_mixture(tmp_path: Path) -> None:
    """A pair counts only where it was written."""
    scene = Scene(tmp_path / "run", rows=("DOLLAR", "EURO"))
    scene.record("setter", SET_RATES, 1, (0, 1, 2), (4.0, RATES[1]))
    scene.record("setter", SET_RATES, 0, (3, 4, 9), (4.0, 4.5))
    scene.record("auditor", READ_ROW, 0, (5, 5, 6), (4.0, RATES[1], 1.0))
    assert torn_read.check(scene.case()).findings[0].count == 1


def test_the_unknown_half_of_a_change_in_flight_proves_nothing(tmp_path: Path) -> None:
    """A setter killed inside its change may have written a second rate that nobody recorded."""
    scene = setter(tmp_path, (4.0, 4.5))
    scene.record("setter", SET_RATES, 0, (200, 210, 0), (6.0,))
    scene.record("auditor", READ_ROW, 0, (300, 310, 320), (6.0, 6.5, 1.0))
    assert torn_read.check(scene.case()).findings == []
    scene.record("auditor", READ_ROW, 0, (300, 330, 340), (6.0, 4.5, 1.0))
    assert torn_read.check(scene.case()).findings[0].count == 1


def test_a_table_that_ended_torn_is_found_without_a_reader(tmp_path: Path) -> None:
    """Two setters inside at once leave half of each; the launcher saw it."""
    scene = setter(tmp_path, (4.0, 4.5))
    scene.record("other", SET_RATES, 0, (5, 15, 28), (5.0, 5.5))
    (found,) = torn_read.check(scene.case(final=[[4.0, 5.5, 10000.0]])).findings
    assert found.worst.sentence == (
        "The table ended with sell 4 and buy 5.5 of DOLLAR, a row that no one ever wrote: the sell "
        "rate is from change 1 of setter (4, 4.5), the buy rate from change 1 of other (5, 5.5)."
    )
    assert found.explanation.startswith("1 row of 1 ended as a row that no one ever wrote.")
    assert [witness.process for witness in found.worst.witnesses] == ["setter", "other"]
    assert found.count == 1


@pytest.mark.parametrize("pair", [RATES, (4.0, 4.5), (6.0, 9.0)])
def test_a_table_that_ended_as_somebody_left_it_is_fine(
    tmp_path: Path, pair: tuple[float, float]
) -> None:
    """The opening row, a change, or one in flight whose second rate nobody recorded."""
    scene = setter(tmp_path, (4.0, 4.5))
    scene.record("setter", SET_RATES, 0, (200, 210, 0), (6.0,))
    result = torn_read.check(scene.case(final=[[*pair, 10000.0]]))
    assert (result.findings, result.measures) == ([], {"torn_reads": 0})


def test_a_torn_snapshot_and_a_torn_end_both_count(tmp_path: Path) -> None:
    """The snapshot comes first, the end last; a rate from nowhere is said to be that."""
    scene = setter(tmp_path, (4.0, 4.5))
    scene.record("auditor", READ_ROW, 0, (0, 21, 22), (4.0, RATES[1], 10000.0))
    (found,) = torn_read.check(scene.case(final=[[4.0, 7.0, 10000.0]])).findings
    assert found.explanation.startswith("1 snapshot of 1 saw and 1 row of 1 ended as a row that")
    assert found.count == 2
    assert found.first.sentence.startswith("auditor read")
    assert found.last.sentence.endswith("the buy rate from no finished change.")
