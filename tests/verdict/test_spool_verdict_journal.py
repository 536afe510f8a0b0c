"""A journal that tells what cannot have been is found out, and one that was damaged is doubted."""

from __future__ import annotations

import json
from typing import Any

from tests.verdict.stored_spools import Stored, moves


def test_a_job_in_two_states_is_found(once_or_more: Stored) -> None:
    """One file in each of two directories."""
    first = once_or_more.jobs()[0]
    other = {**first, "state": "held", "path": "held/10-000000000000001-1-0-0"}
    once_or_more.change(lambda outcome: outcome["spool"]["jobs"].append(other))
    assert "lies in the spool 2 times" in once_or_more.found()["job_duplicated"]


def test_a_transition_that_no_job_may_make_is_found(once_or_more: Stored) -> None:
    """Held, and completed at once."""
    lines = once_or_more.lines
    (_, *rest) = moves(lines, 1)
    last = lines[rest[-1]]
    last["from"] = lines[moves(lines, 1)[0]]["to"]
    once_or_more.write([line for at, line in enumerate(lines) if at not in rest[:-1]])
    assert "from held to completed, which no job may do" in once_or_more.found()["job_corrupted"]


def test_a_move_from_where_the_job_was_not_is_found(once_or_more: Stored) -> None:
    """A line in between is missing."""
    lines = once_or_more.lines
    del lines[moves(lines, 1)[1]]
    once_or_more.write(lines)
    found = once_or_more.found()["job_corrupted"]
    assert "moved job 1 of submitter-0 from pending to processing, but it was held" in found


def test_a_job_that_nobody_accepted_is_found(once_or_more: Stored) -> None:
    """The journal begins with its release."""
    lines = once_or_more.lines
    del lines[moves(lines, 3)[0]]
    once_or_more.write(lines)
    assert "and nobody had accepted it" in once_or_more.found()["job_corrupted"]


def test_a_job_that_lies_where_no_line_put_it_is_found(once_or_more: Stored) -> None:
    """Canceled by the journal, and among the completed ones."""

    def move(outcome: dict[str, Any]) -> None:
        (job,) = [each for each in outcome["spool"]["jobs"] if each["job"] == 2]
        job.update(state="completed", path="completed" + job["path"][len("canceled") :])

    once_or_more.change(move)
    assert (
        "job 2 of submitter-0 is canceled by the journal, and lies at completed/"
        in (once_or_more.found()["job_corrupted"])
    )


def test_a_job_taken_from_a_living_printer_is_found(once_or_more: Stored) -> None:
    """It was put back as if its printer had died, and that one ended as it should."""
    survivor = next(
        process
        for process in json.loads((once_or_more.directory / "outcome.json").read_text())[
            "processes"
        ]
        if process["role"] == "spool_printer" and process["exit"] == 0
    )
    lines = once_or_more.lines
    text = json.dumps(lines)
    (died,) = [line for line in lines if "died" in line.get("why", "")]
    dead = died["from"].rpartition("@")[2]
    once_or_more.write(json.loads(text.replace(f"@{dead}", f"@{survivor['pid']}.1")))
    assert "as its printer had died; it had not" in once_or_more.found()["job_corrupted"]


def test_garbled_lines_of_a_journal_are_found(once_or_more: Stored) -> None:
    """What is neither a move nor a printer's line is no reason to fall over."""
    once_or_more.write([*once_or_more.lines, {"job": "x"}, {"job": 1, "from": 2, "to": 3}, {}])
    assert "3 lines of the spool's journal cannot be read" in once_or_more.found()["job_corrupted"]


def test_a_job_of_an_earlier_run_is_called_as_its_file_says(once_or_more: Stored) -> None:
    """Its maker may be no process of this run, and its number there need not be in its name."""
    lines = once_or_more.lines
    job = 77 << 32 | 9
    lying = {"job": job, "from": "", "to": f"held/10-000000000000001-{job:x}-0-0", "who": "",
             "why": "found", "at": 0, "pages": 1, "owner": "hasty-3", "number": 4}  # fmt: skip
    once_or_more.write([lines[0], lying, *lines[1:]])
    assert "job 4 of hasty-3 (of an earlier run)" in once_or_more.found()["job_lost"]


def doubted(stored: Stored) -> str:
    """Return the doubts in a journal."""
    return "; ".join(each for each in stored.judged()["doubts"] if "journal" in each)


def test_a_journal_that_was_cut_is_a_doubt(once_or_more: Stored) -> None:
    """Half of its last line is gone: the launcher knows how long it was."""
    journal = once_or_more.directory / "journal.jsonl"
    text = journal.read_bytes()
    journal.unlink()
    journal.write_bytes(text[:-20])
    told = doubted(once_or_more)
    assert f"it was {len(text):,} bytes long, and {len(text) - 20:,} are left" in told
    assert "1 of its lines cannot be read" in told


def test_a_doubled_line_of_a_journal_is_a_doubt(once_or_more: Stored) -> None:
    """The same moment twice: no printer says that."""
    lines = once_or_more.lines
    once_or_more.write([*lines, lines[-1]])
    assert "1 of its lines are there twice" in doubted(once_or_more)


def test_lines_that_are_no_moves_are_a_doubt_wherever_they_stand(once_or_more: Stored) -> None:
    """Before the end that the launcher saw, or behind it."""
    with (once_or_more.directory / "journal.jsonl").open("a") as journal:
        journal.write('{"x": 1}\n')
    assert "it has grown by 9 bytes since the run had ended" in doubted(once_or_more)
    once_or_more.write(once_or_more.lines)
    assert "1 of its lines are no moves" in doubted(once_or_more)
