from __future__ import annotations

from pathlib import Path

import pytest

from common.verdict.judge import judge
from common.verdict.properties import pages_interleaved
from spooler.operations import PAGE
from tests.verdict.scenes import Scene, item

SHARED, OWN = 0, 1


def printed(tmp_path: Path, recorded: str, *, sheet: int = SHARED) -> Scene:
    """Return a run whose printer recorded pages: ``a1`` is page 1 of job a."""
    scene = Scene(tmp_path / "run", paper=[] if sheet == SHARED else None)
    scene.recorder("printer-1", "printer")
    for number, (item_, page) in enumerate(pages(recorded)):
        at = 10 * number
        values = (float(page), 2.0, 30.0 * number, 30.0)
        scene.record("printer-1", PAGE, sheet, (at, at, at + 5), values, item_)
    return scene


def pages(words: str) -> list[tuple[int, int]]:
    """Return job and page of each word."""
    return [(item("ab".index(word[0]), 1), int(word[1])) for word in words.split()]


def lines(words: str) -> list[str]:
    """Return a paper with those pages."""
    return [f"[job {job:012x} page {page}/2] abc" for job, page in pages(words)]


DIFFERENCES = [
    ("a1 a2 b1 b2", "", "4 pages missing"),
    ("a1 a2 b1 b2", "a1 a2 b2", "1 page missing"),
    ("a1 a2", "a1 a2 b1", "1 page that no record tells of"),
    ("a1 a2 b1", "a2 a1 b1", "1 page out of order"),
    ("a1 a2 a1 a2", "a1 a2", "2 pages missing"),
]


@pytest.mark.parametrize("sheet", [SHARED, OWN])
@pytest.mark.parametrize(("recorded", "found", "told"), DIFFERENCES)
def test_a_paper_must_hold_what_was_recorded(
    tmp_path: Path, recorded: str, found: str, told: str, sheet: int
) -> None:
    """Each page as often as its printer recorded it, in order: else one of the two is wrong."""
    scene = printed(tmp_path, recorded, sheet=sheet)
    name = "the paper"
    if sheet == SHARED:
        scene.paper = lines(found)
    else:
        name = "the paper of printer-1"
        (scene.directory / "paper-printer-1.txt").write_text("\n".join(lines(found)))
    result = pages_interleaved.check(scene.case())
    assert result.doubts == [f"{name} does not hold what was recorded: {told}"]
    assert result.findings == []


@pytest.mark.parametrize("words", ["a1 a2 b1 b2", "b1 a1 a2", "a1 a2 a1 a2", "a1 a1 a2 a2"])
def test_a_paper_that_holds_what_was_recorded_is_fine(tmp_path: Path, words: str) -> None:
    """Also with a job printed twice, whole or page by page: that has a finding of its own."""
    scene = printed(tmp_path, words)
    scene.paper = lines(words)
    assert pages_interleaved.check(scene.case()).doubts == []


def test_a_printer_that_was_cut_off_may_have_printed_one_page_more(tmp_path: Path) -> None:
    """Killed between printing and recording; not between two pages of which neither is recorded."""
    scene = printed(tmp_path, "a1")
    scene.outcomes["printer-1"].phase = "run"
    scene.paper = lines("a1 a2")
    assert pages_interleaved.check(scene.case()).doubts == []
    scene.paper = lines("a1 a2 b1")
    assert len(pages_interleaved.check(scene.case()).doubts) == 1


def test_a_page_that_is_gone_leaves_the_run_undecided(tmp_path: Path) -> None:
    """The verdict hears of it."""
    scene = printed(tmp_path, "a1 a2", sheet=OWN)
    verdict = judge(scene.case())
    assert (verdict.verdict, len(verdict.doubts)) == ("undecided", 1)


def test_a_name_too_long_for_a_job_is_no_page(tmp_path: Path) -> None:
    """Whatever else stands on a paper is left alone."""
    scene = printed(tmp_path, "a1")
    scene.paper = [*lines("a1"), f"[job {'f' * 400} page {'9' * 9000}/1] x", "garbage \x00"]
    assert pages_interleaved.check(scene.case()).doubts == []
