"""Which sentences of the lecture are tried: all of them, each once."""

from __future__ import annotations

from collections import Counter

from common.claims import claim

# The numbers of a first reading of both texts; a number that is missing was a heading or a picture.
FIRST = {f"A{number}" for number in range(2, 90)} - {"A58"}
NOT_SENTENCES = {2, 3, 41, 42, 90, 177}
SECOND = {f"B{number}" for number in range(1, 184) if number not in NOT_SENTENCES}


def test_every_sentence_has_one_experiment_or_a_reason_for_none() -> None:
    """None is forgotten and none is judged twice."""
    shown = [one.name for experiment in claim.every() for one in experiment.claims]
    assert [name for name, count in Counter(shown).items() if count > 1] == []
    definitions = claim.definitions()
    assert set(shown) & set(definitions) == set()
    assert set(shown) | set(definitions) == FIRST | SECOND


def test_every_claim_says_where_it_stands_and_what_it_says() -> None:
    """A line of its text, and a sentence; every experiment says what is done."""
    for experiment in claim.every():
        assert experiment.setup.endswith("."), experiment.name
        for one in experiment.claims:
            assert one.line > 0
            assert one.says.rstrip('"').endswith((".", "?", "…")), one


def test_what_needs_no_experiment_says_why() -> None:
    """A definition or a slip of spelling, in words."""
    assert all(len(reason.split()) > 2 for reason in claim.definitions().values())
