"""What a spool's journal, its directories and the paper say against each other is found.

One run that kept its promise is copied, and one thing is changed in the copy: what a spooler or
printer with that mistake would have left.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from common import pipeline
from run import SYSTEMS
from tests.launching import launch
from tests.verdict.stored_spools import Stored


def test_as_they_are_both_are_valid(once_or_more: Stored, spool_runs: dict[str, Path]) -> None:
    """One printer died with a printed job: it was printed again, or is aborted."""
    document = once_or_more.judged()
    assert (document["verdict"], document["doubts"]) == ("valid", [])
    assert document["measures"]["spool"]["printed_again"] == 1
    other = pipeline.judge_run(spool_runs["at_most_once"], SYSTEMS)
    assert other["verdict"] == "valid"
    assert other["measures"]["spool"]["states"]["aborted"] == 1
    assert other["measures"]["spool"]["printed_again"] == 0


def test_an_accepted_job_that_is_nowhere_is_lost(once_or_more: Stored) -> None:
    """The journal knows it, and no directory."""
    once_or_more.change(lambda outcome: outcome["spool"]["jobs"].pop(0))
    assert "and it lies nowhere in the spool" in once_or_more.found()["job_lost"]


def test_a_job_that_was_answered_and_never_journalled_is_lost(once_or_more: Stored) -> None:
    """Its submitter was told that it is accepted."""
    lines = once_or_more.lines
    once_or_more.write([line for line in lines if line.get("job") != 2])
    once_or_more.change(
        lambda outcome: outcome["spool"].update(
            jobs=[each for each in outcome["spool"]["jobs"] if each["job"] != 2]
        )
    )
    assert (
        "job 2 of submitter-0 was accepted, and no line of the journal knows of it"
        in (once_or_more.found()["job_lost"])
    )


def test_jobs_that_a_person_canceled_are_counted_in_a_note(once_or_more: Stored) -> None:
    """The operator of a scenario is no person: its cancels are not told."""
    told = once_or_more.judged()["measures"]["spool"]["told"]
    assert not any("by hand" in sentence for sentence in told)

    lines = once_or_more.lines
    (line,) = (each for each in lines if each.get("why", "").startswith("cancel by"))
    line.update(who="the shell (4711)", why="cancel by the shell (4711)")
    once_or_more.write(lines)
    told = once_or_more.judged()["measures"]["spool"]["told"]
    assert "1 job was canceled by hand" in told


def test_a_run_without_its_journal_cannot_be_judged(once_or_more: Stored) -> None:
    """One error that names the file; never a verdict."""
    (once_or_more.directory / "journal.jsonl").unlink()
    done = launch("check", str(once_or_more.directory))
    assert done.status == 2
    assert "journal.jsonl cannot be read" in done.err


def test_without_the_records_of_the_killed_it_is_not_valid(once_or_more: Stored) -> None:
    """The printer that was killed had been ready."""
    outcome = json.loads((once_or_more.directory / "outcome.json").read_text())
    (killed,) = [each["name"] for each in outcome["processes"] if each["struck"]]
    (once_or_more.directory / "history" / f"{killed}.rec").unlink()
    document = once_or_more.judged()
    assert document["verdict"] == "undecided"
    assert f"the records of {killed} are missing" in document["doubts"]


@pytest.mark.parametrize("promise", ["at_least_once", "at_most_once"])
def test_a_job_whose_file_was_damaged_is_lost(
    spool_runs: dict[str, Path], tmp_path: Path, promise: str
) -> None:
    """An accepted one: at least once is broken; at most once may be not at all."""
    stored = Stored(Path(shutil.copytree(spool_runs[promise], tmp_path / "run")))
    lines, why = stored.lines, "its file cannot be read: it is no job"
    jobs = [each["job"] for each in stored.jobs() if each["state"] == "completed"]
    for line in [each for each in lines if each.get("job") == jobs[0]]:
        if line["to"].startswith("completed/"):
            line.update(to=line["to"].replace("completed", "aborted"), why=why)

    def move(outcome: dict[str, Any]) -> None:
        (job,) = [each for each in outcome["spool"]["jobs"] if each["job"] == jobs[0]]
        job.update(state="aborted", path=job["path"].replace("completed", "aborted"))

    stored.change(move)
    stored.write(lines)
    told = f"was accepted, and was aborted since {why}"
    assert (told in stored.found().get("job_lost", "")) is (promise == "at_least_once")


def test_jobs_that_were_turned_down_are_told_of_with_the_reason(once_or_more: Stored) -> None:
    """Their sender knows it; whoever reads the report shall know it as well."""

    def refuse(outcome: dict[str, Any]) -> None:
        (sender,) = [each for each in outcome["processes"] if each["role"] == "submitter"]
        sender["summary"].update(unaccepted=35, why_not="No space left on device")

    once_or_more.change(refuse)
    document = once_or_more.judged()
    assert document["measures"]["spool"]["unaccepted"] == 35
    assert (
        "35 of 38 jobs were not accepted, and their senders know it: No space left on device"
        in document["remarks"]
    )


LASTING = """
system: spooler
spool: {promise: at_least_once, on_error: retry, path: spool}
channels:
  jobs: {kind: unix_seqpacket}
processes:
  - {role: submitter, jobs: 3, pages: 1, to: jobs, held: true}
  - {role: spooler, source: jobs}
  - {role: spool_printer, name: printer, count: 2}
"""


class Lasting:
    """A spool that outlives its runs, with three held jobs of the first."""

    def __init__(self, place: Path) -> None:
        self.place, self.scenario = place, place / "scenario.yaml"
        self.scenario.write_text(LASTING)
        assert self.run()["verdict"] == "valid"
        (self.spool,) = [each.parent for each in place.rglob("spool/journal")]

    def run(self) -> dict[str, Any]:
        """Run the scenario; returns its document."""
        done = launch("run", str(self.scenario), "--out", str(self.place), "--json")
        return done.document


def test_a_job_that_vanishes_between_two_runs_is_lost(tmp_path: Path) -> None:
    """The last journal says that it was accepted; the run after that is told nothing new."""
    lasting = Lasting(tmp_path)
    next(iter(sorted((lasting.spool / "held").iterdir()))).unlink()
    (found,) = lasting.run()["findings"]
    assert found["kind"] == "job_lost"
    assert "job 1 of submitter-0 (of an earlier run) was accepted and held" in found["explanation"]
    assert lasting.run()["verdict"] == "valid"


def test_a_journal_that_was_cut_between_two_runs_is_a_doubt(tmp_path: Path) -> None:
    """What lies in the spool is more than it tells of."""
    lasting = Lasting(tmp_path)
    journal = lasting.spool / "journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    kept = next(at for at, line in enumerate(lines) if b"accepted" in line)
    journal.write_bytes(b"".join(lines[:kept]))
    document = lasting.run()
    assert document["verdict"] == "undecided"
    assert "3 of the jobs that lie there do not lie where it says" in document["doubts"][0]
