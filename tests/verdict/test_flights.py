from __future__ import annotations

import numpy as np

from common.verdict.flights import applied, unexplained

NOTHING = np.empty(0, np.int64)


def test_one_in_flight_from_the_opening_value_explains_the_last() -> None:
    """The only process was killed after it wrote: its update counts as done."""
    assert applied([(7, 5)], NOTHING, NOTHING, 100, 105) == [(7, 100, 105)]


def test_one_that_explains_nothing_did_not_happen() -> None:
    """The last value is the opening one, or another than it would have written."""
    assert applied([(7, 5)], NOTHING, NOTHING, 100, 100) == []
    assert applied([(7, 5)], NOTHING, NOTHING, 100, 106) == []


def test_two_in_flight_follow_one_another() -> None:
    """The second read what the first wrote, which nothing else tells."""
    found = applied([(7, 5), (8, 20)], NOTHING, np.array([105]), 100, 125)
    assert found == [(7, 100, 105), (8, 105, 125)]


def test_a_chain_in_flight_counts_when_only_its_end_was_seen() -> None:
    """Both processes died in the middle: nobody told what lay between their writes."""
    found = applied([(7, 5), (8, 20)], NOTHING, NOTHING, 100, 125)
    assert sorted(position for position, _, _ in found) == [7, 8]
    assert {read for _, read, _ in found} - {wrote for _, _, wrote in found} == {100}
    assert {wrote for _, _, wrote in found} - {read for _, read, _ in found} == {125}


def test_of_a_chain_no_more_happened_than_must_have() -> None:
    """One alone explains the value, and so does it with two others that cancel out."""
    assert applied([(6, 7), (7, -7), (8, 20)], NOTHING, NOTHING, 100, 120) == [(8, 100, 120)]


def test_one_in_flight_on_top_of_a_recorded_write() -> None:
    """Somebody read its value later, and what it read itself was recorded."""
    values, read = np.array([110, 140]), np.array([100, 113])
    assert applied([(9, 3)], values, read, 100, 140) == [(9, 110, 113)]


def test_what_nobody_wrote_is_unexplained() -> None:
    """Neither the opening value nor a recorded one."""
    read = np.array([100, 110, 111, 0])
    assert unexplained(np.array([110, 140]), read, 100).tolist() == [2, 3]
    assert unexplained(NOTHING, read, 100).tolist() == [1, 2, 3]
