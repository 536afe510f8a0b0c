"""People and jobs: `run.py jobs` lists and moves them while a run is open, and afterwards."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.errors import ScenarioError, UsageError
from common.kernel.spool import journal
from common.scenario.load import load
from run import SYSTEMS
from spooler import orders
from spooler.orders import Order, Which
from tests.launching import SECONDS, command, launch

# Its operator waits for a job that comes last: the printer is held up until a person has done it.
OPEN = """
system: spooler
spool: {promise: at_most_once, on_error: hold}
channels:
  jobs: {kind: unix_seqpacket}
processes:
  - {role: submitter, jobs: 4, held: true, pages: 2, to: jobs}
  - {role: spooler, source: jobs}
  - {role: spool_printer, name: printer}
  - {role: operator, lines: [hold 4 of submitter-0]}
deadlines: {wait: 90, run: 90}
"""


class Opened:
    """A run that goes on until the last job is released and held again."""

    def __init__(self, scenario: Path, out: Path) -> None:
        self.out = out
        self.launcher = subprocess.Popen(
            command("run", str(scenario), "--out", str(out), "--json", "--log", "events"),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def jobs(self, *words: str) -> Any:
        """Ask for its jobs."""
        return launch("jobs", *words, "--out", str(self.out))

    def listed(self) -> dict[str, str]:
        """Return the state of each job, as the verb lists it."""
        document = launch("jobs", "--json").document
        return {row["job"]: row["state"] for row in document["jobs"]}


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    """Yield an open run whose four jobs are there, all held."""
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text(OPEN)
    run = Opened(scenario, tmp_path / "runs")
    try:
        assert run.launcher.stderr is not None
        assert any("process_summary" in line for line in run.launcher.stderr)
        yield run
    finally:
        run.launcher.send_signal(signal.SIGINT)
        run.launcher.communicate(timeout=SECONDS)


def test_a_person_lists_releases_and_cancels_jobs_of_an_open_run(opened: Opened) -> None:
    """Each move is told with the state before and after, and the run goes by it."""
    assert set(opened.listed().values()) == {"held"}
    canceled = opened.jobs("cancel", "2 of submitter-0")
    assert (canceled.status, canceled.out) == (0, "job 2 of submitter-0: held -> canceled\n")
    assert opened.jobs("release", "3 of submitter-0").out.endswith("held -> pending\n")
    # The operator holds it as soon as it is pending, if the printer does not take it before.
    assert opened.jobs("release", "4 of submitter-0").out.endswith("held -> pending\n")
    out, _ = opened.launcher.communicate(timeout=SECONDS)
    document = json.loads(out)
    assert document["verdict"] == "valid"
    states = document["measures"]["spool"]["states"]
    assert states["canceled"] == 1
    assert states["held"] in (1, 2)
    papers = "".join(p.read_text() for p in Path(document["run_dir"]).glob("paper*.txt"))
    assert "[job 000000000003 page 2/2]" in papers
    assert "[job 000000000002" not in papers


def test_what_cannot_be_done_with_a_job_is_said_and_nothing_moves(opened: Opened) -> None:
    """Status 1 for a job in another state, 2 for one that is not there or words that are none."""
    refused = opened.jobs("hold", "1 of submitter-0")
    assert refused.status == 1
    assert (
        "job 1 of submitter-0 is held: it cannot be held (hold goes with jobs that are pending)"
        in refused.out
    )
    for words, said in [
        (("hold", "9 of submitter-0"), "job 9 of submitter-0: there is none in the spool"),
        (("hold", "the first"), "names no job"),
        (("print", "1"), "is not a stored run"),
        (("hodl", "4"), "did you mean 'hold'?"),
        (("hold", "job 9 of submitter-0"), "job 9 of submitter-0: there is none in the spool"),
    ]:
        done = opened.jobs(*words)
        assert done.status == 2
        assert said in done.err
    assert set(opened.listed().values()) == {"held"}


def test_a_job_is_called_what_it_is_called_everywhere(opened: Opened) -> None:
    """As in reports, `job 2 of submitter-0`; and its file's name means it, too."""
    shown = opened.jobs().out.splitlines()
    assert [line.split("  ")[0] for line in shown[1:]] == [
        f"{n} of submitter-0" for n in range(1, 5)
    ]
    (row,) = (
        row for row in launch("jobs", "--json").document["jobs"] if row["job"] == "2 of submitter-0"
    )
    item = row["file"].split("-")[2]
    assert opened.jobs("cancel", item).out == "job 2 of submitter-0: held -> canceled\n"
    assert opened.jobs("cancel", "job 3 of submitter-0").status == 0


def test_to_hold_the_last_says_that_the_run_ends(opened: Opened) -> None:
    """Nothing is pending then, and no printer waits for what a person has held."""
    answer = opened.jobs("hold", "all").out
    assert "nothing is pending: the run ends once its submitters are done" in answer
    assert "never printed (spool.path keeps it for the next run)" in answer


def test_a_spool_that_is_over_can_be_looked_at_and_no_more(tmp_path: Path) -> None:
    """Its run has ended, and nobody would print what is released."""
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text(OPEN.replace("  - {role: operator, lines: [hold 4 of submitter-0]}\n", ""))
    done = launch("run", str(scenario), "--out", str(tmp_path / "runs"), "--json")
    run_dir = done.document["run_dir"]
    listed = launch("jobs", run_dir)
    assert listed.status == 0
    assert listed.out.count("held") == 4
    refused = launch("jobs", run_dir, "release", "all")
    assert refused.status == 2
    assert "is over, and nobody prints what is in its spool" in refused.err
    again = launch("check", run_dir, "--json")
    assert again.document["verdict"] == "valid"


def test_a_lasting_spool_is_moved_between_two_runs(tmp_path: Path) -> None:
    """What is released at the shell is printed by the next run; the last one's verdict stays."""
    scenario = tmp_path / "scenario.yaml"
    text = OPEN.replace("  - {role: operator, lines: [hold 4 of submitter-0]}\n", "")
    scenario.write_text(text.replace("on_error: hold}", "on_error: hold, path: kept}"))
    words = ["run", str(scenario), "--out", str(tmp_path / "runs"), "--json"]
    first = launch(*words).document["run_dir"]
    released = launch("jobs", first, "release", "2 of submitter-0")
    assert (released.status, released.err) == (0, "")
    assert launch("check", first, "--json").document["verdict"] == "valid"
    second = launch(*words).document
    assert second["measures"]["spool"]["states"] == {"held": 7, "completed": 1}
    # The first run's spool is the second one's now.
    late = launch("jobs", first, "release", "3 of submitter-0")
    assert late.status == 4
    assert "replaced by another file" in late.err


def test_without_a_run_it_says_so(tmp_path: Path) -> None:
    """No run is alive, or the one that is named has no spool."""
    nobody = launch("jobs")
    assert nobody.status == 2
    assert "no run with a spool is alive" in nobody.err
    done = launch("run", "spooler/pipe", "--out", str(tmp_path), "--json")
    other = launch("jobs", done.document["run_dir"])
    assert other.status == 2
    assert "is a run without a spool" in other.err


@pytest.mark.parametrize(
    ("line", "order"),
    [
        ("hold 3 of submitter-0", Order("hold", Which(3, "submitter-0"))),
        ("release all", Order("release", Which())),
        ("cancel all of hasty-1.2", Order("cancel", Which(owner="hasty-1.2"))),
        ("cancel 10000000a", Order("cancel", Which(item=0x10000000A))),
    ],
)
def test_the_lines_of_an_operator(line: str, order: Order) -> None:
    """A job by its number and maker, all, all of one maker, or one by its name."""
    assert orders.parse(line) == order


@pytest.mark.parametrize("line", ["", "hold", "print 1 of a", "hold 1 of", "hold x", "hold 1 2"])
def test_lines_that_are_none_are_refused(line: str) -> None:
    """With the form that they should have."""
    with pytest.raises(UsageError):
        orders.parse(line)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (", on_error: hold", "", "a spool needs 'on_error'"),
        ("promise: at_most_once, ", "", "a spool needs 'promise'"),
        ("at_most_once", "once", "at_most_once"),
        ("spool: {promise: at_most_once, on_error: hold}\n", "", "needs a spool"),
        ("on_error: hold", "on_error: hold, path: ../x", "leads out of the directory"),
        ("  - {role: spool_printer, name: printer}\n", "", "nobody takes a job from the spool"),
        ("hold 4 of submitter-0", "shred 4 of submitter-0", "is nothing that is done with a job"),
        ("held: true", "priorities: [3, 10]", "priorities are 0 to 9"),
        ("unix_seqpacket", "pipe", "a pipe carries no answer back"),
    ],
)
def test_a_spool_that_is_not_said_whole_is_refused(
    old: str, new: str, said: str, tmp_path: Path
) -> None:
    """Promise and policy are always explicit; each complaint names its place."""
    scenario = tmp_path / "scenario.yaml"
    assert old in OPEN
    scenario.write_text(OPEN.replace(old, new))
    with pytest.raises(ScenarioError, match=said) as caught:
        load(str(scenario), SYSTEMS)
    assert all(complaint.line for complaint in caught.value.complaints)


def test_a_spool_cannot_be_led(tmp_path: Path) -> None:
    """`explore` says why, with what can be done instead."""
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text(OPEN)
    done = launch("explore", str(scenario), "--out", str(tmp_path / "runs"))
    assert done.status == 2
    assert "cannot be walked: who waits at its spool sleeps in the kernel" in done.err


def test_priorities_are_kept_by_every_printer(tmp_path: Path) -> None:
    """All are there before any is released, the last first of all: then by priority."""
    scenario = tmp_path / "scenario.yaml"
    text = OPEN.replace("held: true", "held: true, priorities: [0, 2, 9, 5]")
    scenario.write_text(text.replace("hold 4 of submitter-0", "release all"))
    done = launch("run", str(scenario), "--out", str(tmp_path / "runs"), "--json")
    assert done.status == 0, done.out[-2000:]
    assert done.document["measures"]["jobs_reordered"] == 0
    assert journal.read(Path(done.document["run_dir"]) / journal.STORED)
