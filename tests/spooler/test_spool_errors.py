"""A device that fails: each policy does with the job what it says, and no more."""

from __future__ import annotations

import errno
import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest

from common.kernel.spool import AT_LEAST_ONCE, AT_MOST_ONCE, POLICIES
from common.kernel.spool.entry import Entry
from spooler import policy
from tests.launching import launch
from tests.spooler.test_spool_killed import in_spool, on_paper

BROKEN = OSError(errno.EIO, "Input/output error")
JOB = Entry("processing", 10, 5, 1, claims=1)

SCENARIO = """
system: spooler
spool: {{promise: {promise}, on_error: {policy}, retries: 1{more}}}
channels:
  jobs: {{kind: unix_seqpacket}}
processes:
  - {{role: submitter, jobs: 4, pages: 2, to: jobs, held: true}}
  - {{role: spooler, source: jobs}}
  - {{role: spool_printer, name: printer}}
  # Nothing is printed before all are there.
  - {{role: operator, name: first, lines: [release 4 of submitter-0, release 1 of submitter-0,
      release 2 of submitter-0, release 3 of submitter-0]}}
faults: [{faults}]
"""
# Job 4 is printed first; then the second page of job 1 fails.
SECOND_PAGE = "{kind: device, process: printer-0, step: print, at: 4}"
# The first page of job 1.
FIRST_PAGE = "{kind: device, process: printer-0, step: print, at: 3}"


def run(tmp_path: Path, promise: str, policy: str, faults: str, more: str = "") -> Any:
    """Run it; returns its document."""
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text(SCENARIO.format(promise=promise, policy=policy, faults=faults, more=more))
    done = launch("run", str(scenario), "--out", str(tmp_path / "runs"), "--json")
    assert done.status == 0, done.out[-2000:] + done.err
    assert done.document["verdict"] == "valid"
    return done.document


def ways(document: dict[str, Any]) -> dict[int, list[str]]:
    """Return the states that each job went through once it was released."""
    found: dict[int, list[str]] = {}
    for line in (Path(document["run_dir"]) / "journal.jsonl").read_text().splitlines():
        move = json.loads(line)
        if "job" in move:
            found.setdefault(move["job"], []).append(move["to"].partition("/")[0])
    # Accepted as held, then released.
    return {item: states[2:] for item, states in found.items()}


def failing(document: dict[str, Any]) -> int:
    """Return the job that failed: which one is printed third depends on who came in time."""
    (item,) = {
        json.loads(line)["job"]
        for line in (Path(document["run_dir"]) / "journal.jsonl").read_text().splitlines()
        if "Input/output error" in line
    }
    return int(item)


PRINTED = ["processing", "completed"]


@pytest.mark.parametrize(
    ("policy", "way"),
    [
        ("abort", ["processing", "aborted"]),
        ("hold", ["processing", "held"]),
        ("stop", ["processing", "stopped"]),
        ("retry", ["processing", "pending", *PRINTED]),
        ("retry_first", ["processing", "pending", *PRINTED]),
    ],
)
def test_a_failed_job_goes_the_way_of_its_policy(
    policy: str, way: list[str], tmp_path: Path
) -> None:
    """Given up, held, stopped with its printer, or printed again: and the others as ever."""
    document = run(tmp_path, AT_LEAST_ONCE, policy, SECOND_PAGE)
    found = ways(document)
    failed = failing(document)
    assert found.pop(failed) == way
    if policy == "stop":
        # Its printer stands: nobody takes what is behind.
        assert all(states in (PRINTED, []) for states in found.values())
        assert [] in found.values()
    else:
        assert all(states == PRINTED for states in found.values())
    copies = on_paper(document)[failed]
    assert copies == ({1: 2, 2: 1} if policy.startswith("retry") else {1: 1})


@pytest.mark.parametrize("policy", POLICIES)
def test_what_was_begun_is_never_printed_twice_where_that_is_promised(
    policy: str, tmp_path: Path
) -> None:
    """At most once: after its first page a job that fails is aborted, whatever the policy."""
    document = run(tmp_path, AT_MOST_ONCE, policy, SECOND_PAGE)
    failed = failing(document)
    assert ways(document)[failed] == ["processing", "aborted"]
    assert all(count == 1 for pages in on_paper(document).values() for count in pages.values())
    assert f"job {failed} of submitter-0" in " ".join(document["remarks"])


def test_what_was_not_begun_may_be_tried_again_at_most_once(tmp_path: Path) -> None:
    """Its first page failed: nothing of it is on the paper, and the policy is followed."""
    document = run(tmp_path, AT_MOST_ONCE, "retry", FIRST_PAGE)
    assert ways(document)[failing(document)] == ["processing", "pending", *PRINTED]
    assert in_spool(document) == {"completed": {1, 2, 3, 4}}


def test_a_job_that_fails_too_often_is_aborted(tmp_path: Path) -> None:
    """With one retry the second failure is the last."""
    # Every page of every job fails from the third pass on: all three are tried twice.
    faults = "{kind: device, process: printer-0, step: print, every: 1, most: 100}"
    document = run(tmp_path, AT_LEAST_ONCE, "retry", faults)
    assert in_spool(document) == {"aborted": {1, 2, 3, 4}}
    assert all(
        way == ["processing", "pending", "processing", "aborted"] for way in ways(document).values()
    )


def test_a_job_in_back_off_lets_others_pass_and_is_printed(tmp_path: Path) -> None:
    """It is held, not pending, until its time has come; nobody needs to release it."""
    document = run(tmp_path, AT_LEAST_ONCE, "retry", SECOND_PAGE, more=", back_off: 0.05")
    assert ways(document)[failing(document)] == ["processing", "held", "pending", *PRINTED]
    assert in_spool(document) == {"completed": {1, 2, 3, 4}}


def test_a_stopped_printer_goes_on_when_its_job_is_released(tmp_path: Path) -> None:
    """A person releases the stopped job; it is printed, and so is what stood behind it."""
    scenario = tmp_path / "scenario.yaml"
    text = SCENARIO.format(
        promise=AT_LEAST_ONCE, policy="stop", more="",
        faults="{kind: device, process: printer-0, step: print, at: 1}",
    )  # fmt: skip
    # Nothing is held: the one line waits until the job has been stopped.
    text = re.sub(r"lines: \[.*?\]", "lines: [release 1 of submitter-0]", text, flags=re.DOTALL)
    scenario.write_text(text.replace(", held: true", ""))
    done = launch("run", str(scenario), "--out", str(tmp_path / "runs"), "--json")
    assert done.status == 0, done.out[-2000:] + done.err
    lines = (Path(done.document["run_dir"]) / "journal.jsonl").read_text().splitlines()
    printer = [json.loads(line)["is"] for line in lines if '"printer":' in line]
    assert printer == ["ready", "stopped", "ready", "gone"]
    moves = [json.loads(line) for line in lines if '"job":1,' in line]
    assert [move["to"].partition("/")[0] for move in moves] == [
        "pending", "processing", "stopped", "pending", *PRINTED,
    ]  # fmt: skip
    assert in_spool(done.document) == {"completed": {1, 2, 3, 4}}


@pytest.mark.parametrize(
    ("printed", "promise", "name"),
    list(itertools.product([0, 1], [AT_LEAST_ONCE, AT_MOST_ONCE], POLICIES)),
)
def test_the_fate_of_a_failed_job(printed: int, promise: str, name: str) -> None:
    """By promise, policy, and whether anything of it is on the paper already."""
    spool = {"promise": promise, "on_error": name, "retries": 3, "back_off": 0.0}
    fate = policy.after_error(spool, JOB, printed, BROKEN)
    if promise == AT_MOST_ONCE and printed:
        assert fate.state == "aborted"
        return
    states = {"abort": "aborted", "stop": "stopped", "hold": "held"}
    assert fate.state == states.get(name, "pending")
    assert fate.changes["failures"] == 1
    assert fate.changes.get("last", False) is (name == "retry")
    assert fate.changes.get("rank") == (0 if name == "retry_first" else None)
    last = policy.after_error(spool, JOB._replace(failures=3), printed, BROKEN)
    assert last.state == states.get(name, "aborted")
