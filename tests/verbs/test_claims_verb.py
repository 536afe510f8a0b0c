"""`run.py claims`: the lecture's sentences as verdicts, in text, JSON and as a page."""

from __future__ import annotations

from pathlib import Path

from common.claims import claim
from tests.launching import launch


def test_a_mechanism_and_a_claim_can_be_asked_for(tmp_path: Path) -> None:
    """All of a mechanism; one claim by its name, with what was done for it."""
    rows = launch("claims", "pipes", "--json").document["claims"]
    wanted = {one.name for each in claim.experiments("pipes") for one in each.claims}
    assert {row["claim"] for row in rows} == wanted
    assert {row["verdict"] for row in rows} <= set(claim.VERDICTS) - {claim.UNDECIDED}
    one = launch("claims", "b26")
    assert one.status == 0
    assert one.out.startswith("B26 ")
    assert "end-of-file came" in one.out


def test_what_is_no_claim_is_refused_with_the_nearest() -> None:
    """A usage error; nothing is run."""
    done = launch("claims", "pips")
    assert (done.status, done.out) == (2, "")
    assert "did you mean 'pipes'?" in done.err


def test_a_sentence_without_an_experiment_says_why() -> None:
    """It is a definition, or a slip of spelling: that is its answer, beside those of others."""
    name, reason = next(iter(claim.definitions().items()))
    done = launch("claims", name, "B17")
    assert done.status == 0
    assert reason in done.out
    assert "B17" in done.out
    document = launch("claims", name, "--json").document
    assert document["definitions"] == {name: reason}
    assert document["claims"] == []


def test_the_page_has_every_sentence_and_escapes_what_they_say(tmp_path: Path) -> None:
    """One file that needs no other, with verdict, figure, why and notes."""
    page = tmp_path / "deep" / "claims.html"
    done = launch("claims", "pipes", "--report", str(page))
    assert done.status == 0
    assert str(page) in done.out
    text = page.read_text()
    for each in claim.experiments("pipes"):
        for one in each.claims:
            assert f">{one.name}</th>" in text
    assert "what was done" in text
    assert "does not hold" in text
    assert "<script>alert" not in text


def test_a_page_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    """After the experiments, whose verdicts are printed all the same."""
    (tmp_path / "file").write_text("")
    done = launch("claims", "B17", "--report", str(tmp_path / "file" / "page.html"))
    assert done.status == 2
    assert "cannot be written" in done.err
    assert "B17" in done.out
