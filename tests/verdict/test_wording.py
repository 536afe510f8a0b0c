"""Sentences that say the same of several things are one sentence."""

from __future__ import annotations

import pytest

from common.verdict.wording import joined, listed


def test_what_is_said_of_several_things_is_said_once() -> None:
    """The names stand together where the first of them stood; all else stays as it was."""
    said = ["EURO: odd", "the disk is full", "POUND, DOLLAR: odd", "EURO: odd", "EURO: lost"]
    assert joined(said) == ["EURO, POUND, DOLLAR: odd", "the disk is full", "EURO: lost"]


def test_a_beginning_that_is_no_name_joins_nothing() -> None:
    """A clause before a colon is a part of its sentence."""
    said = ["a left b behind: it was removed", "a left c behind: it was removed"]
    assert joined(said) == said


@pytest.mark.parametrize(
    ("count", "told"),
    [(1, "a"), (2, "a and b"), (4, "a, b, c and d"), (6, "a, b, c, d and 2 more")],
)
def test_many_names_are_counted(count: int, told: str) -> None:
    """As people say them."""
    assert listed(list("abcdef"[:count])) == told
