"""What a spool's journal, its directories and the paper say against each other is found.

One run that kept its promise is copied, and one thing is changed in the copy: what a spooler or
printer with that mistake would have left.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common import pipeline
from run import SYSTEMS
from tests.launching import launch

SCENARIO = """
system: spooler
spool: {promise: at_least_once, on_error: retry}
channels:
  jobs: {kind: unix_seqpacket}
processes:
  - {role: submitter, jobs: 3, pages: 2, to: jobs, held: true}
  - {role: spooler, source: jobs}
  - {role: spool_printer, name: printer, count: 2}
  # The last first: the others are released when all are there.
  - {role: operator, lines: [release 3 of submitter-0, release 1 of submitter-0,
      cancel 2 of submitter-0]}
faults: [{kind: kill, process: printer, step: complete, every: 1, most: 1}]
variants:
  at_least_once: {}
  at_most_once: {set: {spool.promise: at_most_once}}
"""

Line = dict[str, Any]


class Stored:
    """A stored run that may be changed."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @property
    def lines(self) -> list[Line]:
        """Its journal."""
        return [json.loads(line) for line in self._journal.read_text().splitlines()]

    def write(self, lines: list[Line]) -> None:
        """Put another journal in its place."""
        self._journal.unlink()
        self._journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
        self.change(lambda outcome: outcome["spool"].update(journal=self._journal.stat().st_size))

    def change(self, how: Callable[[dict[str, Any]], object]) -> None:
        """Change what the launcher saw."""
        path = self.directory / "outcome.json"
        outcome = json.loads(path.read_text())
        how(outcome)
        path.write_text(json.dumps(outcome))

    def jobs(self) -> list[Line]:
        """What lay in the spool in the end."""
        jobs: list[Line] = json.loads((self.directory / "outcome.json").read_text())["spool"][
            "jobs"
        ]
        return jobs

    def paper_of(self, item: int) -> Path:
        """Return a paper on which the job was printed whole."""
        return next(
            paper for paper in sorted(self.directory.glob("paper*.txt"))
            if f"[job {item:012x} page 2/2]" in paper.read_text()
        )  # fmt: skip

    def judged(self) -> dict[str, Any]:
        """Judge it; returns its document."""
        return pipeline.judge_run(self.directory, SYSTEMS)

    def found(self) -> dict[str, str]:
        """Return what is found, with its explanation."""
        return {each["kind"]: each["explanation"] for each in self.judged()["findings"]}

    @property
    def _journal(self) -> Path:
        return self.directory / "journal.jsonl"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Make one run of each promise."""
    place = tmp_path_factory.mktemp("runs")
    scenario = place / "scenario.yaml"
    scenario.write_text(SCENARIO)
    done = launch("compare", str(scenario), "--out", str(place), "--json")
    assert done.status == 0, done.out[-2000:] + done.err
    variants = done.document["variants"]
    return {name: Path(entry["runs"][0]["run_dir"]) for name, entry in variants.items()}


@pytest.fixture
def once_or_more(runs: dict[str, Path], tmp_path: Path) -> Stored:
    """Return a copy of the run that promises at least once."""
    return Stored(Path(shutil.copytree(runs["at_least_once"], tmp_path / "run")))


@pytest.fixture
def at_most_once(runs: dict[str, Path], tmp_path: Path) -> Stored:
    """Return a copy of the run that promises at most once."""
    return Stored(Path(shutil.copytree(runs["at_most_once"], tmp_path / "run")))


def moves(lines: list[Line], item: int) -> list[int]:
    """Return where the moves of a job stand in a journal."""
    return [at for at, line in enumerate(lines) if line.get("job") == item]


def test_as_they_are_both_are_valid(once_or_more: Stored, runs: dict[str, Path]) -> None:
    """One printer died with a printed job: it was printed again, or is aborted."""
    document = once_or_more.judged()
    assert (document["verdict"], document["doubts"]) == ("valid", [])
    assert document["measures"]["spool"]["printed_again"] == 1
    other = pipeline.judge_run(runs["at_most_once"], SYSTEMS)
    assert other["verdict"] == "valid"
    assert other["measures"]["spool"]["states"]["aborted"] == 1
    assert other["measures"]["spool"]["printed_again"] == 0


def test_a_completed_job_that_is_on_no_paper_is_lost(once_or_more: Stored) -> None:
    """Its second page is missing on each paper."""
    for paper in once_or_more.directory.glob("paper*.txt"):
        kept = [line for line in paper.read_text().splitlines() if "01 page 2/" not in line]
        paper.write_text("".join(f"{line}\n" for line in kept))
    assert (
        "job 1 of submitter-0 is completed, and its page 2 lies on no paper"
        in (once_or_more.found()["job_lost"])
    )


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


def test_a_canceled_job_that_was_printed_is_found(once_or_more: Stored) -> None:
    """Nobody had taken it."""
    paper = once_or_more.paper_of(1)
    line = "[job 000000000002 page 1/2] abcdefghijklmnopqrstuvwxyz\n"
    paper.write_text(paper.read_text() + line)
    assert (
        "job 2 of submitter-0 was printed 1 times, and printers took it 0 times"
        in (once_or_more.found()["job_duplicated"])
    )


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


def test_a_printer_that_passes_over_the_first_in_line_is_found(once_or_more: Stored) -> None:
    """A more urgent job was pending when it took another."""
    lines = once_or_more.lines
    gate = json.loads((once_or_more.directory / "outcome.json").read_text())["gate_ns"]
    urgent = {"job": 9, "from": "", "to": "pending/01-000000000000001-9-0-0", "who": "",
              "why": "found", "at": gate, "pages": 1}  # fmt: skip
    lines.insert(1, urgent)
    taken = {**urgent, "from": urgent["to"], "to": "canceled/01-000000000000001-9-0-0",
             "who": "operator-0", "why": "cancel", "at": lines[-1]["at"]}  # fmt: skip
    once_or_more.write([*lines, taken])
    found = once_or_more.found()["job_reordered"]
    assert "while job 9 of submitter-0 (of an earlier run), which was more urgent, was pending" in (
        found
    )


def test_a_job_of_an_earlier_run_is_called_as_its_file_says(once_or_more: Stored) -> None:
    """Its maker may be no process of this run, and its number there need not be in its name."""
    lines = once_or_more.lines
    job = 77 << 32 | 9
    lying = {"job": job, "from": "", "to": f"held/10-000000000000001-{job:x}-0-0", "who": "",
             "why": "found", "at": 0, "pages": 1, "owner": "hasty-3", "number": 4}  # fmt: skip
    once_or_more.write([lines[0], lying, *lines[1:]])
    assert "job 4 of hasty-3 (of an earlier run)" in once_or_more.found()["job_lost"]


def starving(stored: Stored, seconds: float, *, stopped: bool = False) -> None:
    """Have a job stand in line from the gate on while printer-9 does nothing for so long."""
    gate = json.loads((stored.directory / "outcome.json").read_text())["gate_ns"]
    end = gate + round(seconds * 1e9)
    lines = stored.lines
    urgent = {"job": 9, "from": "", "to": "pending/10-000000000000001-9-0-0", "who": "",
              "why": "found", "at": 0, "pages": 1}  # fmt: skip
    canceled = {**urgent, "from": urgent["to"], "to": "canceled/10-000000000000001-9-0-0",
                "who": "operator-0", "why": "cancel", "at": end}  # fmt: skip
    ready = {"printer": "printer-9", "is": "stopped" if stopped else "ready", "pid": 1, "at": gate}
    gone = {**ready, "is": "gone", "at": end + 1}
    # The others are as if they had been killed: what they would have done nobody knows.
    others = [line for line in lines if line.get("is") != "gone"]
    stored.write([*others, urgent, ready, canceled, gone])
    stored.change(lambda outcome: outcome.update(ended_ns=end + 2))


def test_a_job_that_waits_while_a_printer_is_free_starves(once_or_more: Stored) -> None:
    """Both for longer than deadlines.starvation, at the same time."""
    starving(once_or_more, 2.5)
    assert "was pending for 2.5 s while printer-9 was free" in once_or_more.found()["starvation"]


def test_a_short_wait_is_none(once_or_more: Stored) -> None:
    """It is below the deadline."""
    starving(once_or_more, 1.5)
    assert "starvation" not in once_or_more.found()


def test_a_printer_that_is_stopped_is_not_free(once_or_more: Stored) -> None:
    """Its policy stopped it: what is pending waits for others."""
    starving(once_or_more, 2.5, stopped=True)
    assert "starvation" not in once_or_more.found()


def test_a_printer_that_goes_while_jobs_are_pending_leaves_them_to_starve(
    once_or_more: Stored,
) -> None:
    """However short the rest of the run is: nobody would come."""
    lines = once_or_more.lines
    left = {"job": 9, "from": "", "to": "pending/10-000000000000001-9-0-0", "who": "",
            "why": "found", "at": 0, "pages": 1}  # fmt: skip
    job = {"job": 9, "state": "pending", "claims": 0, "failures": 0, "path": left["to"]}
    once_or_more.write([lines[0], left, *lines[1:]])
    once_or_more.change(lambda outcome: outcome["spool"]["jobs"].append(job))
    assert "had gone by itself" in once_or_more.found()["starvation"]


def test_a_run_without_its_journal_cannot_be_judged(once_or_more: Stored) -> None:
    """One error that names the file; never a verdict."""
    (once_or_more.directory / "journal.jsonl").unlink()
    done = launch("check", str(once_or_more.directory))
    assert done.status == 2
    assert "journal.jsonl cannot be read" in done.err


def test_a_page_of_a_job_that_nobody_submitted_is_found(once_or_more: Stored) -> None:
    """The spool never accepted it."""
    paper = once_or_more.paper_of(1)
    paper.write_text(paper.read_text() + "[job 000000000063 page 1/1] abc\n")
    assert (
        "job 99 of submitter-0 lies on a paper, and nobody had accepted it"
        in (once_or_more.found()["job_corrupted"])
    )


def test_without_the_records_of_the_killed_it_is_not_valid(once_or_more: Stored) -> None:
    """The printer that was killed had been ready."""
    outcome = json.loads((once_or_more.directory / "outcome.json").read_text())
    (killed,) = [each["name"] for each in outcome["processes"] if each["struck"]]
    (once_or_more.directory / "history" / f"{killed}.rec").unlink()
    document = once_or_more.judged()
    assert document["verdict"] == "undecided"
    assert f"the records of {killed} are missing" in document["doubts"]


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


def test_a_job_that_is_gone_was_not_pending(once_or_more: Stored) -> None:
    """It is lost, and that is all: nobody passed over it, nobody left it waiting."""
    first = once_or_more.lines
    gone = {"job": 9, "from": "", "to": "pending/01-000000000000001-9-0-0", "who": "",
            "why": "found", "at": 0, "pages": 1}  # fmt: skip
    once_or_more.write([first[0], gone, *first[1:]])
    document = once_or_more.judged()
    assert [each["kind"] for each in document["findings"]] == ["job_lost"]
    assert document["measures"]["spool"]["left"] == []
    assert "left in the spool" not in " ".join(document["remarks"])


@pytest.mark.parametrize("promise", ["at_least_once", "at_most_once"])
def test_a_job_whose_file_was_damaged_is_lost(
    runs: dict[str, Path], tmp_path: Path, promise: str
) -> None:
    """An accepted one: at least once is broken; at most once may be not at all."""
    stored = Stored(Path(shutil.copytree(runs[promise], tmp_path / "run")))
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
