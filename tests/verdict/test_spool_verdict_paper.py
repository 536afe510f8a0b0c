"""What lies on a spool's paper and was not promised, or does not lie there, is found."""

from __future__ import annotations

from tests.verdict.stored_spools import Stored


def test_a_completed_job_that_is_on_no_paper_is_lost(once_or_more: Stored) -> None:
    """Its second page is missing on each paper."""
    for paper in once_or_more.directory.glob("paper*.txt"):
        kept = [line for line in paper.read_text().splitlines() if "01 page 2/" not in line]
        paper.write_text("".join(f"{line}\n" for line in kept))
    assert (
        "job 1 of submitter-0 is completed, and its page 2 lies on no paper"
        in (once_or_more.found()["job_lost"])
    )


def test_a_second_copy_where_none_is_promised_is_found(at_most_once: Stored) -> None:
    """One page lies twice on the paper."""
    (item, *_) = [each["job"] for each in at_most_once.jobs() if each["state"] == "completed"]
    paper = at_most_once.paper_of(item)
    page = next(line for line in paper.read_text().splitlines() if f"{item:012x} page 2" in line)
    paper.write_text(paper.read_text() + page + "\n")
    assert (
        f"job {item} of submitter-0 was printed 2 times, and at most once is promised"
        in (at_most_once.found()["job_duplicated"])
    )


def test_more_copies_than_there_were_tries_are_found(once_or_more: Stored) -> None:
    """At least once allows one for each time that a printer took it."""
    item = once_or_more.judged()["measures"]["spool"]
    assert item["extra_copies"] == 1
    paper = once_or_more.paper_of(1)
    pages = [line for line in paper.read_text().splitlines() if "01 page 1/" in line]
    paper.write_text(paper.read_text() + (pages[0] + "\n") * 2)
    claims = sum(
        line.get("why") == "claimed" for line in once_or_more.lines if line.get("job") == 1
    )
    assert f"and printers took it {claims} times" in once_or_more.found()["job_duplicated"]


def test_a_canceled_job_that_was_printed_is_found(once_or_more: Stored) -> None:
    """Nobody had taken it."""
    paper = once_or_more.paper_of(1)
    line = "[job 000000000002 page 1/2] abcdefghijklmnopqrstuvwxyz\n"
    paper.write_text(paper.read_text() + line)
    assert (
        "job 2 of submitter-0 was printed 1 times, and printers took it 0 times"
        in (once_or_more.found()["job_duplicated"])
    )


def test_a_page_of_a_job_that_nobody_submitted_is_found(once_or_more: Stored) -> None:
    """The spool never accepted it."""
    paper = once_or_more.paper_of(1)
    paper.write_text(paper.read_text() + "[job 000000000063 page 1/1] abc\n")
    assert (
        "job 99 of submitter-0 lies on a paper, and nobody had accepted it"
        in (once_or_more.found()["job_corrupted"])
    )
