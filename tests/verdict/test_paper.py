from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from common.verdict.judge import judge
from common.verdict.properties import pages_interleaved
from spooler.messages import Job, checksum
from spooler.operations import PAGE, PUT
from tests.verdict.scenes import Scene, item

SHARED, OWN = 0, 1


def printed(tmp_path: Path, recorded: str, *, sheet: int = SHARED) -> Scene:
    """Return a run whose printer recorded pages: ``a1`` is page 1 of job a."""
    scene = Scene(tmp_path / "run", paper=[] if sheet == SHARED else None)
    scene.recorder("printer-1", "printer")
    for number, (item_, page) in enumerate(pages(recorded)):
        at = 10 * number
        values = (float(page), 2.0, 32.0 * number, 32.0)
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
        (scene.directory / "paper-printer-1.txt").write_text(
            "".join(f"{line}\n" for line in lines(found))
        )
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


def doubts_of(scene: Scene) -> str:
    """Return the one doubt in its paper; "" for none."""
    found = pages_interleaved.check(scene.case()).doubts
    assert len(found) <= 1
    return found[0].partition("recorded: ")[2] if found else ""


def test_what_is_no_page_is_a_doubt(tmp_path: Path) -> None:
    """Nobody of the lab wrote it; a name too long for a job's is none."""
    scene = printed(tmp_path, "a1")
    scene.paper = [*lines("a1"), f"[job {'f' * 400} page {'9' * 9000}/1] x", "garbage \x00"]
    assert doubts_of(scene) == "2 lines that are no page"


def test_a_line_in_front_of_a_page_is_a_doubt(tmp_path: Path) -> None:
    """On the line of the page itself, or on one of its own: on its own paper too."""
    scene = printed(tmp_path, "a1", sheet=OWN)
    paper = scene.directory / "paper-printer-1.txt"
    (line,) = lines("a1")
    paper.write_text(f"rubbish\n{line}\n")
    told = "1 page not where they were recorded, 1 line that is no page"
    assert doubts_of(scene) == told
    paper.write_text(f"rubbish{line}\n")
    assert doubts_of(scene) == told


def test_a_byte_that_is_no_letter_moves_no_page(tmp_path: Path) -> None:
    """Where a page stands is counted in bytes of the paper, whatever they are."""
    scene = printed(tmp_path, "a1 a2", sheet=OWN)
    first, second = (line.encode() for line in lines("a1 a2"))
    paper = scene.directory / "paper-printer-1.txt"
    paper.write_bytes(first[:-1] + b"\xff\n" + second + b"\n")
    assert "not where" not in doubts_of(scene)
    paper.write_bytes(first[:-1] + b"\xff\xff\n" + second + b"\n")
    assert "1 page not where they were recorded" in doubts_of(scene)


def test_a_last_line_without_its_end_is_a_doubt(tmp_path: Path) -> None:
    """A page is written with its newline, in one write."""
    scene = printed(tmp_path, "a1", sheet=OWN)
    (scene.directory / "paper-printer-1.txt").write_text(lines("a1")[0])
    assert doubts_of(scene) == "its last line has no end"


def test_how_many_pages_a_job_has_is_compared(tmp_path: Path) -> None:
    """The record says page 1 of 2."""
    scene = printed(tmp_path, "a1")
    scene.paper = [lines("a1")[0].replace("/2]", "/9]")]
    assert doubts_of(scene) == "1 page missing, 1 page that no record tells of"


@pytest.mark.parametrize(("text", "right"), [("abc", True), ("XXX", False), ("", False)])
@pytest.mark.parametrize("named", [True, False])
def test_the_text_on_a_page_has_the_checksum_of_its_job(
    tmp_path: Path, text: str, right: bool, named: bool
) -> None:
    """CRC-32 of the letters and the name; of the text alone where that is the whole message."""
    job = Job(b"abc", 0, 2, item(0, 1))
    declared = float(checksum(job) if named else zlib.crc32(b"abc\n"))
    scene = printed(tmp_path, "a1")
    scene.job("maker", PUT, job.item, (0, 0, 1), declared=declared, body=declared)
    scene.paper = [lines("a1")[0].replace("abc", text)]
    assert doubts_of(scene) == ("" if right else "1 page with another text than the job has")


def test_an_unrecorded_page_is_its_own_printers_alone(tmp_path: Path) -> None:
    """That another process was cut off excuses none; and who was has it last on its paper."""
    scene = printed(tmp_path, "a1", sheet=OWN)
    scene.recorder("other", "printer")
    scene.outcomes["other"].phase = "run"
    paper = scene.directory / "paper-printer-1.txt"
    paper.write_text("".join(f"{line}\n" for line in lines("a1 a2")))
    assert doubts_of(scene) == "1 page that no record tells of"
    scene.outcomes["printer-1"].phase = "run"
    assert doubts_of(scene) == ""
    paper.write_text("".join(f"{line}\n" for line in lines("a2 a1")))
    assert "1 page that no record tells of" in doubts_of(scene)


def test_a_paper_of_a_process_without_records_is_compared_as_well(tmp_path: Path) -> None:
    """Its file of records is gone, its paper is there."""
    scene = printed(tmp_path, "a1", sheet=OWN)
    paper = scene.directory / "paper-printer-1.txt"
    paper.write_text(f"{lines('a1')[0]}\n")
    scene.case()
    (scene.directory / "history" / "printer-1.rec").unlink()
    assert doubts_of(scene) == "1 page that no record tells of"
