"""What is printed of a kind is what it says of itself, and the page in the docs is current."""

from __future__ import annotations

import pytest

from common import kinds
from common.report import catalogue
from tests.launching import ROOT, launch


@pytest.mark.parametrize("family", list(catalogue.FAMILIES))
def test_every_kind_of_a_family_is_described(family: str) -> None:
    """Its first sentence, each of its facts, each of its options, and what they change."""
    entries = {entry.kind: entry for entry in catalogue.entries(family)}
    assert tuple(entries) == kinds.names(catalogue.FAMILIES[family])
    text = launch("list", family).out
    for kind, entry in entries.items():
        module = kinds.load(catalogue.FAMILIES[family], kind)
        assert f"  {kind}: {entry.about}" in text
        assert set(module.facts(module.Options())._asdict()) <= set(entry.facts)
        assert all(words for words in entry.facts.values() if isinstance(words, str))
        for name, _default, about in entry.options:
            assert f"option {name} = " in text
            assert about in text


def test_what_an_option_changes_is_told() -> None:
    """Without undo a killed holder keeps a System V semaphore, and the list says so."""
    (lock,) = (entry for entry in catalogue.entries("locks") if entry.kind == "sysv_sem")
    assert ("undo", False) in [(option, value) for option, value, _ in lock.changes]
    assert (
        "with undo = false: when its holder is killed: held for ever" in launch("list", "locks").out
    )


def test_the_page_in_the_docs_is_current() -> None:
    """`python run.py list --markdown > docs/mechanisms.md` was run after the last change."""
    assert (ROOT / "docs/mechanisms.md").read_text() == launch("list", "--markdown").out


def test_one_family_as_json_has_facts_and_options() -> None:
    """For programs: the same as the text."""
    document = launch("list", "tables", "--json").document
    assert {entry["kind"] for entry in document["tables"]} == set(kinds.names(kinds.TABLES))
    assert all(entry["facts"] for entry in document["tables"])
