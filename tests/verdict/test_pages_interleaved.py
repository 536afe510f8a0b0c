from __future__ import annotations

from pathlib import Path

from common.verdict.properties import pages_interleaved
from spooler.operations import PAGE
from tests.verdict.scenes import Scene, item


def paper(tmp_path: Path, pages: str) -> Scene:
    """Return a run whose paper holds ``pages``: ``a1`` is page 1 of job a."""
    lines: list[str] = []
    scene = Scene(tmp_path / "run", paper=lines)
    for number, word in enumerate(pages.split()):
        maker, page = "ab".index(word[0]), int(word[1])
        scene.recorder(f"printer-{maker + 1}", "printer")
        at = 10 * number
        values = (float(page), 2.0, 30.0 * number, 30.0)
        scene.record(f"printer-{maker + 1}", PAGE, 0, (at, at, at + 5), values, item(maker, 1))
        lines.append(f"[job {item(maker, 1):012x} page {page}/2] abc")
    return scene


def test_a_job_in_pieces_quotes_the_lines_of_the_paper(tmp_path: Path) -> None:
    """Whoever holds the paper can look the lines up."""
    (found,) = pages_interleaved.check(paper(tmp_path, "a1 b1 b2 a2").case()).findings
    assert found.worst.sentence == (
        "job 1 of printer-1 lies in 2 pieces on the paper: line 1 and line 4 are its own, lines 2 "
        "to 3 between them are of job 1 of printer-2."
    )
    assert found.count == 1
    assert found.explanation.startswith("1 job of 2 lies in pieces on the paper.")
    assert [witness.process for witness in found.worst.witnesses] == ["printer-1", "printer-2"]


def test_two_jobs_in_pieces_both_count(tmp_path: Path) -> None:
    """Page by page in turn: neither is whole."""
    (found,) = pages_interleaved.check(paper(tmp_path, "a1 b1 a2 b2").case()).findings
    assert (found.count, found.total) == (2, 2.0)


def test_jobs_one_after_the_other_are_fine(tmp_path: Path) -> None:
    """Contiguous runs, in whatever order the jobs came."""
    assert pages_interleaved.check(paper(tmp_path, "b1 b2 a1 a2").case()).findings == []


def test_a_job_printed_twice_whole_is_not_interleaved(tmp_path: Path) -> None:
    """Two copies with another job between them are duplicates: another finding."""
    assert pages_interleaved.check(paper(tmp_path, "a1 a2 b1 b2 a1 a2").case()).findings == []


def test_two_beginnings_on_one_line_are_interleaved(tmp_path: Path) -> None:
    """Where writes were not whole, one line holds pieces of two jobs."""
    scene = paper(tmp_path, "a1 b1 b2 a2")
    lines = scene.paper or []
    scene.paper = [lines[0][:-2] + lines[1], lines[2], lines[3]]
    (found,) = pages_interleaved.check(scene.case()).findings
    assert "line 1 and line 3 are its own" in found.worst.sentence


def test_pages_without_their_paper_are_a_doubt(tmp_path: Path) -> None:
    """A paper that is gone proves nothing."""
    result = pages_interleaved.check(paper(tmp_path, "a1").case(paper=None))
    assert (result.findings, len(result.doubts)) == ([], 1)
