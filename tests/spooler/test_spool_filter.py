"""A program that prints: its exit status decides about the job, and its output is the paper."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common import names
from common.errors import ScenarioError
from common.kernel.objects import Maker
from common.kernel.spool import AT_LEAST_ONCE, AT_MOST_ONCE, STATUSES
from common.kernel.spool.entry import Entry
from common.scenario.load import load
from common.scenario.plan import plan
from spooler import SYSTEM, filtering, policy
from spooler.roles import spool_printer
from tests.conftest import Fork
from tests.launching import launch
from tests.spooler.spools import body, lay, opened, states, written
from tests.spooler.test_spool_printer import AtStep, printing

Print = Callable[..., str]
# What a filter does at the first attempt; it prints at every other.
FIRST = 'case "$5" in *attempt=1*) {} ;; esac; exec cat'


def nothing(_step: str, _pass: int) -> None:
    """Do nothing at any step."""


@pytest.fixture
def desk(
    maker: Maker, tmp_path: Path, runtime_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> Desk:
    """Return what prints two jobs of three pages with a filter."""
    return Desk(maker, tmp_path, runtime_directory, monkeypatch)


class Desk:
    """A spool with two jobs, and a printer with a filter, in this process."""

    def __init__(
        self, maker: Maker, tmp_path: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self._maker, self._place, self._runtime = maker, tmp_path, runtime
        self._monkeypatch = monkeypatch
        self.address: dict[str, Any] = {}

    def lay(self, **options: Any) -> None:
        """Lay the spool and put both jobs into it."""
        self.address = lay(self._maker, self._place / "run", **options)
        spool = opened(self.address, "somebody")
        for item in (1, 2):
            assert spool.accept(item, {**body(item), "pages": 3}, 0, held=False)

    def print(self, script: str, at_step: AtStep = nothing, limit: float = 60.0) -> str:
        """Print all with ``script`` (sh); returns what is on the paper."""
        if not self.address:
            self.lay()
        options = spool_printer.Options(filter=["sh", "-c", script, "filter"], time_limit=limit)
        self._monkeypatch.setattr(spool_printer, "Options", lambda: options)
        return printing(self.address, self._place, self._runtime, at_step)[1]

    def way(self, item: int) -> list[str]:
        """Return the states that a job went through behind `pending`."""
        moves = [line for line in written(self.address) if line["job"] == item]
        return [line["to"].partition("/")[0] for line in moves[1:]]

    def why(self, item: int) -> tuple[int | None, str]:
        """Return what the first printer to have had a job said: the status, and the reason."""
        moves = [line for line in written(self.address) if line["job"] == item]
        return moves[2].get("status"), moves[2]["why"]


def pages(paper: str) -> list[tuple[int, int]]:
    """Return job and page of each line on a paper; each is one whole page."""
    return [(int(line[5:17], 16), int(line[23])) for line in paper.splitlines()]


BOTH = [(job, page) for job in (1, 2) for page in (1, 2, 3)]
PRINTED = ["processing", "completed"]


@pytest.mark.parametrize(
    ("end", "status", "way"),
    [
        ("exec cat", 0, PRINTED),
        ("exit 1", 1, ["processing", "aborted"]),
        ("exit 2", 2, ["processing", "held"]),
        ("exit 3", 3, ["processing", "held"]),
        ("exit 4", 4, ["processing", "stopped"]),
        ("exit 5", 5, ["processing", "canceled"]),
        ("exit 6", 6, ["processing", "pending", *PRINTED]),
        ("exit 7", 7, ["processing", "pending", *PRINTED]),
        ("exit 42", 42, ["processing", "aborted"]),
        ("kill -9 $$", -9, ["processing", "aborted"]),
    ],
)
def test_a_job_goes_the_way_that_its_filter_says(
    desk: Desk, end: str, status: int, way: list[str]
) -> None:
    """As backend(7) has it; a failure is what the queue's policy says, here `abort`."""
    desk.lay(on_error="abort")
    paper = desk.print(FIRST.format(f"[ $1 = 000000000001 ] && {{ {end}; }}"))
    assert desk.way(1) == way
    said, why = desk.why(1)
    assert said == status
    assert (f"signal {-status}" if status < 0 else f"its filter ended with {status} (") in why
    # A stopped printer takes no other; one that retries at once prints it before the next.
    whole = {0: BOTH, 6: BOTH[3:] + BOTH[:3], 7: BOTH, 4: []}
    assert pages(paper) == whole.get(status, BOTH[3:])


@pytest.mark.parametrize(("on_error", "way"), [("hold", "held"), ("retry", "pending")])
def test_that_it_failed_leaves_the_job_to_the_policy(desk: Desk, on_error: str, way: str) -> None:
    """Status 1 says no more than a device that fails."""
    desk.lay(on_error=on_error)
    desk.print(FIRST.format("exit 1"))
    assert desk.way(1)[:2] == ["processing", way]


def test_a_filter_that_never_prints_is_asked_as_often_as_the_policy_says(desk: Desk) -> None:
    """It is started anew for each attempt, and the job is given up."""
    desk.lay(retries=2)
    assert desk.print("exit 6") == ""
    assert states(desk.address) == {1: "aborted", 2: "aborted"}
    assert desk.way(1).count("processing") == 3


def test_it_is_told_of_the_job_what_cups_tells(desk: Desk, tmp_path: Path) -> None:
    """Job-id, user, title, copies and options, behind its own arguments; PRINTER is its name."""
    told = tmp_path / "told"
    desk.print(f'printf \'%s\\n\' "$@" "$PRINTER" >>{told}; exec cat')
    assert told.read_text().splitlines()[:6] == [
        "000000000001", "tester-0", "job 1 of tester-0", "1", "priority=0 pages=3 attempt=1",
        "printer-0",
    ]  # fmt: skip


def test_one_that_never_ends_is_killed_and_has_failed(desk: Desk) -> None:
    """When its time is over; what becomes of the job is the policy's."""
    desk.lay(on_error="abort")
    assert desk.print("exec sleep 1000", limit=0.05) == ""
    assert states(desk.address) == {1: "aborted", 2: "aborted"}
    assert desk.why(1)[1] == "its filter had not ended after 0.05 s: killed; abort"


def test_one_that_writes_without_end_is_killed(desk: Desk) -> None:
    """What it may fill of the disk has a bound."""
    desk.lay(on_error="abort")
    line = "x" * 1000
    paper = desk.print(f"exec yes {line}")
    assert states(desk.address) == {1: "aborted", 2: "aborted"}
    assert "its filter wrote more than" in desk.why(1)[1]
    assert set(paper.splitlines()) == {line}


def test_what_it_leaves_in_the_background_ends_with_it(desk: Desk, tmp_path: Path) -> None:
    """It holds the pipe open, and nobody waits for it."""
    left = tmp_path / "left"
    paper = desk.print(f"sleep 1000 & echo $! >>{left}; cat")
    assert pages(paper) == BOTH
    assert not [pid for pid in left.read_text().split() if names.standing(int(pid))]


def test_that_it_prints_nothing_and_says_ok_is_believed(desk: Desk) -> None:
    """It is completed; that the paper is empty is the verdict's to see."""
    assert desk.print("exit 0") == ""
    assert states(desk.address) == {1: "completed", 2: "completed"}


def test_half_a_page_is_never_printed(desk: Desk) -> None:
    """Of a line without its end nothing reaches the paper, and the journal says so."""
    paper = desk.print("exec head -c 70")
    assert pages(paper) == [(1, 1), (2, 1)]
    assert desk.why(1)[1].endswith("the last line that it wrote has no end: not printed")


def test_one_that_failed_behind_its_first_page_has_begun(desk: Desk) -> None:
    """At most once: the job is given up, since it lies on paper in part."""
    desk.lay(promise=AT_MOST_ONCE)
    paper = desk.print("head -n 1; exit 6")
    assert states(desk.address) == {1: "aborted", 2: "aborted"}
    assert pages(paper) == [(1, 1), (2, 1)]


def test_a_page_that_fails_ends_its_filter(desk: Desk, tmp_path: Path) -> None:
    """The device failed, whatever the filter would have said; it is killed."""
    desk.lay(on_error="abort")

    def fail(step: str, count: int) -> None:
        if (step, count) == ("print", 2):
            raise OSError(errno.EIO, "Input/output error")

    left = tmp_path / "left"
    paper = desk.print(f"echo $$ >>{left}; cat; [ $1 = 000000000002 ] || exec sleep 1000", fail)
    assert desk.why(1) == (None, "Input/output error; abort")
    assert pages(paper) == [(1, 1), *BOTH[3:]]
    assert not [pid for pid in left.read_text().split() if names.standing(int(pid))]


def test_a_filter_ends_when_its_job_is_canceled_at_a_page(desk: Desk) -> None:
    """The page that is being printed comes, and no other."""
    desk.lay()
    other = opened(desk.address, "somebody")

    def cancel(step: str, count: int) -> None:
        if (step, count) == ("print", 2):
            other.change(1, "cancel")

    paper = desk.print("cat; [ $1 = 000000000002 ] || exec sleep 1000", cancel)
    assert states(desk.address) == {1: "canceled", 2: "completed"}
    assert pages(paper) == [*BOTH[:2], *BOTH[3:]]


def test_a_filter_that_is_silent_ends_when_its_job_is_canceled(
    desk: Desk, tmp_path: Path, fork: Fork
) -> None:
    """Nobody waits for its next page."""
    desk.lay()
    begun = tmp_path / "begun"
    os.mkfifo(begun)

    def cancel() -> None:
        begun.read_bytes()
        opened(desk.address).change(1, "cancel")

    other = fork(cancel)
    paper = desk.print(f"[ $1 = 000000000002 ] && exec cat; echo >{begun}; exec sleep 1000")
    assert other.ended() == 0
    assert states(desk.address) == {1: "canceled", 2: "completed"}
    assert pages(paper) == BOTH[3:]


RUN = """
system: spooler
spool: {{promise: {promise}, on_error: retry}}
channels:
  jobs: {{kind: unix_seqpacket}}
processes:
  - {{role: submitter, jobs: 2, pages: 3, to: jobs}}
  - {{role: spooler, source: jobs}}
  - {{role: spool_printer, name: printer, restart: {{limit: 1, back_off: 0.001}},
     filter: [sh, -c, {script}, filter]}}
"""


def run(tmp_path: Path, promise: str, script: str, more: str = "") -> Any:
    """Run it with this filter; returns its document."""
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text(RUN.format(promise=promise, script=json.dumps(script)) + more)
    done = launch("run", str(scenario), "--out", str(tmp_path / "runs"), "--json")
    assert done.status == 0, done.out[-2000:] + done.err
    assert done.document["verdict"] == "valid"
    return done.document


@pytest.mark.parametrize("promise", [AT_LEAST_ONCE, AT_MOST_ONCE])
def test_a_filter_dies_with_its_printer_and_the_promise_is_kept(
    promise: str, tmp_path: Path
) -> None:
    """Killed at its second page: the job is printed again, or given up."""
    left = tmp_path / "left"
    first = FIRST.format(f"[ $1 = 000000000001 ] && {{ echo $$ >{left}; cat; exec sleep 1000; }}")
    fault = "faults: [{kind: kill, process: printer-0, step: print, at: 2}]"
    document = run(tmp_path, promise, first, fault)
    assert names.standing(int(left.read_text())) is None
    assert not any("ended process" in remark for remark in document["remarks"])
    papers = [path.read_text() for path in sorted(Path(document["run_dir"]).glob("paper-*.txt"))]
    again = BOTH if promise == AT_LEAST_ONCE else BOTH[3:]
    assert sorted(pages("".join(papers))) == sorted([(1, 1), *again])
    spool = document["measures"]["spool"]
    assert spool["filters"] == {"0": 2 if promise == AT_LEAST_ONCE else 1}
    assert spool["aborted"] == ([] if promise == AT_LEAST_ONCE else [1])


def test_whoever_leaves_the_group_of_a_filter_ends_with_the_run(tmp_path: Path) -> None:
    """A session of its own does not hide it; and the report says how each job was printed."""
    fifo, left = tmp_path / "fifo", tmp_path / "left"
    os.mkfifo(fifo)
    leaves = (
        f"setsid sh -c 'echo $$ >{fifo}; exec sleep 1000' & read pid <{fifo}; echo $pid >{left}"
    )
    script = FIRST.format(f"[ $1 = 000000000001 ] && {{ {leaves}; exit 6; }}")
    document = run(tmp_path, AT_LEAST_ONCE, script)
    pid = int(left.read_text())
    assert names.standing(pid) is None
    remarks = " ".join(document["remarks"])
    assert f"ended process {pid}, which a program of this run had left" in remarks
    assert "the filter of the printers ended 3 times: 0 (ok) 2 times, 6 (retry later)" in remarks
    assert "another status than 0 (ok) at job 1 of submitter-0 (6, then 0)" in remarks


JOB = Entry("processing", 10, 5, 1, claims=1)


@pytest.mark.parametrize("status", range(len(STATUSES)))
def test_what_was_begun_is_never_begun_again_at_most_once(status: int) -> None:
    """Whatever its filter wants, but that it is printed, or canceled."""
    spool = {"promise": AT_MOST_ONCE, "on_error": "retry", "retries": 3, "back_off": 0.0}
    fate = policy.after_filter(spool, JOB, 1, status, "it ended")
    assert fate.state == {0: "completed", 5: "canceled"}.get(status, "aborted")
    assert fate.changes["status"] == status


def test_later_waits_for_the_back_off_and_at_once_does_not() -> None:
    """6 and 7 differ in when, and who comes first; to be held is no failure."""
    spool = {"promise": AT_LEAST_ONCE, "on_error": "abort", "retries": 3, "back_off": 9.0}
    ways = {end: policy.after_filter(spool, JOB, 0, end, "it ended") for end in (2, 3, 6, 7)}
    assert [fate.state for fate in ways.values()] == ["held", "held", "held", "pending"]
    assert ways[6].changes == {"failures": 1, "status": 6, "last": True, "back_off": 9.0}
    assert ways[7].changes == {"failures": 1, "status": 7, "rank": 0}
    assert ways[2].changes == {"failures": 0, "status": 2}


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["./none"], "there is no program ./none"),
        (["no_such_program_anywhere"], "there is no program no_such_program_anywhere"),
        (["plain"], "plain is not executable: chmod +x"),
        (["."], ". is not a regular file"),
        ([""], "names no program"),
        (["true", "a\0b"], "names no program"),
    ],
)
def test_a_filter_that_cannot_be_started_is_refused(
    words: list[str], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything runs, and with the reason."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain").touch()
    assert spool_printer.check(spool_printer.Options(filter=words))["filter"].startswith(reason)


def test_a_filter_is_looked_for_as_a_command_is_and_not_beside_one(tmp_path: Path) -> None:
    """From the scenario's own directory; who has a program in its place starts none."""
    mine = tmp_path / "mine"
    mine.touch(mode=0o755)
    scenario = tmp_path / "scenario.yaml"
    text = RUN.format(promise=AT_LEAST_ONCE, script="x").replace("[sh, -c, x, filter]", "./mine")
    scenario.write_text(text)
    planned = plan(load(scenario, {"spooler": SYSTEM}), None, 1, {"spooler": SYSTEM})
    assert planned.processes[-1].options["filter"] == [str(mine)]
    scenario.write_text(text.replace("filter:", "command: ./mine, filter:"))
    with pytest.raises(ScenarioError, match=r"filter: .* a program takes its place"):
        load(scenario, {"spooler": SYSTEM})


def test_a_limit_of_no_filter_is_refused() -> None:
    """It would limit nothing."""
    assert set(spool_printer.check(spool_printer.Options(time_limit=1.0))) == {"time_limit"}
    assert spool_printer.check(spool_printer.Options(filter=["cat"], time_limit=1.0)) == {}


@pytest.mark.parametrize("status", [-11, 0, 1, 5, 7, 8, 255])
def test_a_status_has_its_meaning_beside_it(status: int) -> None:
    """Another number than those of CUPS is a failure."""
    told = {-11: "killed by signal 11", 0: "0 (ok)", 1: "1 (failed)", 5: "5 (cancel the job)",
            7: "7 (retry at once)", 8: "8 (failed)", 255: "255 (failed)"}  # fmt: skip
    assert filtering.ended(status).endswith(told[status])
