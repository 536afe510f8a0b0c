"""A spooler or printer killed at each of its steps and started anew: checked on the paper."""

from __future__ import annotations

import itertools
import json
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from common.kernel.spool import AT_LEAST_ONCE, AT_MOST_ONCE, PROMISES
from tests.launching import ROOT, SECONDS, launch

SCENARIO = """
system: spooler
spool: {{promise: {promise}, on_error: abort}}
channels:
  jobs: {{kind: unix_seqpacket}}
processes:
  - {{role: submitter, jobs: {jobs}, pages: {pages}, to: jobs}}
  - {{role: spooler, source: jobs, restart: {{limit: 20, back_off: 0.001}}}}
  - {{role: spool_printer, name: printer, restart: {{limit: 20, back_off: 0.001}}}}
faults: {faults}
"""
JOBS, PAGES = 3, 2
# Of the second job: where each step of it stands among the process's own.
SPOOLER = [("receive", 2), ("spool", 2), ("sync", 2), ("accept", 2), ("move", 2), ("send", 2)]
PRINTER = [
    ("take", 2), ("move", 3), ("acquire", 2), ("print", 3), ("print", 4), ("release", 2),
    ("complete", 2), ("move", 4),
]  # fmt: skip
PAGE = re.compile(r"\[job ([0-9a-f]+) page (\d+)/(\d+)\]")


def run(tmp_path: Path, promise: str, *faults: str, jobs: int = JOBS, more: str = "") -> Any:
    """Run it with these faults; returns its document."""
    scenario = tmp_path / "scenario.yaml"
    text = SCENARIO.format(
        promise=promise, jobs=jobs, pages=PAGES, faults="[" + ", ".join(faults) + "]"
    )
    scenario.write_text(text + more)
    done = launch("run", str(scenario), "--out", str(tmp_path / "runs"), "--json")
    assert done.status == 0, done.out[-2000:] + done.err
    return done.document


def on_paper(document: dict[str, Any]) -> dict[int, Counter[int]]:
    """Return how often each page of each job lies on a paper, by the papers' text alone."""
    found: dict[int, Counter[int]] = {}
    for paper in Path(document["run_dir"]).glob("paper*.txt"):
        for line in paper.read_text().splitlines():
            match = PAGE.match(line)
            assert match is not None, line
            found.setdefault(int(match[1], 16), Counter())[int(match[2])] += 1
    return found


def in_spool(document: dict[str, Any]) -> dict[str, set[int]]:
    """Return the jobs in each state, by the directories alone."""
    found: dict[str, set[int]] = {}
    for path in Path(document["run_dir"]).glob("spool/*/*-*"):
        found.setdefault(path.parent.name, set()).add(int(path.name.split("-")[2], 16))
    return found


def kept(document: dict[str, Any], promise: str, jobs: int = JOBS) -> None:
    """Assert that every job was printed as often as is promised, or is named as aborted."""
    assert document["verdict"] == "valid"
    papers, states = on_paper(document), in_spool(document)
    every = set(range(1, jobs + 1))
    assert set().union(*states.values()) == every
    assert sum(len(items) for items in states.values()) == jobs
    aborted = states.get("aborted", set())
    for item in every - aborted:
        assert set(papers[item]) == set(range(1, PAGES + 1))
    if promise == AT_MOST_ONCE:
        assert all(count == 1 for pages in papers.values() for count in pages.values())
        assert document["measures"]["spool"]["aborted"] == sorted(aborted)
    else:
        assert not aborted
        assert states == {"completed": every}


@pytest.mark.parametrize(("step", "at"), SPOOLER)
def test_a_spooler_killed_while_it_accepts_loses_and_doubles_nothing(
    step: str, at: int, tmp_path: Path
) -> None:
    """Before its sender was told it sends the job again; each is printed exactly once."""
    fault = f"{{kind: kill, process: spooler-0, step: {step}, at: {at}}}"
    document = run(tmp_path, AT_MOST_ONCE, fault)
    assert [each["step"] for each in document["faults"]] == [step]
    assert document["restarts"] == 1
    kept(document, AT_MOST_ONCE)
    assert in_spool(document) == {"completed": {1, 2, 3}}
    assert all(count == 1 for pages in on_paper(document).values() for count in pages.values())


@pytest.mark.parametrize("promise", PROMISES)
@pytest.mark.parametrize(("step", "at"), PRINTER)
def test_a_printer_killed_while_it_prints_keeps_the_promise(
    step: str, at: int, promise: str, tmp_path: Path
) -> None:
    """At least once: at most one copy more; at most once: that job is aborted, and named."""
    fault = f"{{kind: kill, process: printer-0, step: {step}, at: {at}}}"
    document = run(tmp_path, promise, fault)
    assert [each["step"] for each in document["faults"]] == [step]
    kept(document, promise)
    # Between its claim and its end a job was the printer's when it died.
    begun = (step, at) not in [("take", 2), ("move", 4)]
    printed_again = sum(max(pages.values()) - 1 for pages in on_paper(document).values())
    spool = document["measures"]["spool"]
    if promise == AT_MOST_ONCE:
        assert len(in_spool(document).get("aborted", ())) == begun
        assert any("aborted: job 2 of submitter-0" in told for told in spool["told"]) is begun
    else:
        # Nothing of it was on the paper before the second page was about to be printed.
        pages_out = step in ("release", "complete") or (step, at) == ("print", 4)
        assert printed_again == spool["extra_copies"] == pages_out


@pytest.mark.parametrize("promise", PROMISES)
def test_everybody_killed_again_and_again_keeps_the_promise(promise: str, tmp_path: Path) -> None:
    """Spooler and printer are killed at every few steps, wherever that is."""
    faults = (
        "{kind: kill, process: spooler, every: 9, most: 8}",
        "{kind: kill, process: printer, every: 11, most: 8}",
    )
    document = run(tmp_path, promise, *faults, jobs=20)
    assert document["restarts"] == 16
    kept(document, promise, 20)
    extra = sum(max(pages.values()) - 1 for pages in on_paper(document).values())
    assert extra <= 8


def test_the_journal_tells_each_jobs_way(tmp_path: Path) -> None:
    """With who died: each line begins where the last one of that job ended."""
    document = run(
        tmp_path, AT_LEAST_ONCE, "{kind: kill, process: printer-0, step: complete, at: 2}"
    )
    lines = [
        json.loads(line)
        for line in (Path(document["run_dir"]) / "journal.jsonl").read_text().splitlines()
    ]
    moves = [line for line in lines if line.get("job") == 2]
    assert [move["to"].partition("/")[0] for move in moves] == [
        "pending", "processing", "pending", "processing", "completed",
    ]  # fmt: skip
    assert all(one["to"] == next["from"] for one, next in itertools.pairwise(moves))
    (first, *_) = [p for p in document["processes"] if p["name"] == "printer-0"]
    assert f"its printer {first['pid']}" in moves[2]["why"]
    assert moves[2]["who"] == "printer-0.1"


def test_another_printer_takes_over_what_a_dead_one_had(tmp_path: Path) -> None:
    """Nobody is started anew: whoever is left prints it, and goes only then."""
    scenario = tmp_path / "scenario.yaml"
    text = SCENARIO.format(
        promise=AT_LEAST_ONCE, jobs=JOBS, pages=PAGES,
        faults="[{kind: kill, process: printer-0, step: print, at: 1}]",
    )  # fmt: skip
    two = "name: printer, count: 2, delays: {print: {sleep_us: 2000}}}"
    scenario.write_text(re.sub(r"name: printer, restart.*", two, text))
    done = launch("run", str(scenario), "--out", str(tmp_path / "runs"), "--json")
    assert done.status == 0, done.out[-2000:] + done.err
    kept(done.document, AT_LEAST_ONCE)


def test_a_lasting_spool_is_finished_by_the_next_run(tmp_path: Path) -> None:
    """Its printer is killed and not started anew; the next run prints what is left."""
    scenario = tmp_path / "scenario.yaml"
    text = SCENARIO.format(
        promise=AT_LEAST_ONCE, jobs=6, pages=PAGES,
        faults="[{kind: kill, process: printer-0, step: print, at: 4}]",
    )  # fmt: skip
    text = re.sub(r", restart: .*?\}\}", "}", text).replace("abort}", "abort, path: kept}")
    scenario.write_text(text)
    first = launch("run", str(scenario), "--out", str(tmp_path / "runs"), "--json")
    assert first.status == 0, first.out[-2000:] + first.err
    left = first.document["measures"]["spool"]["left"]
    assert left == [2, 3, 4, 5, 6]
    assert any("the next run finds them" in told for told in first.document["remarks"])
    second = launch(
        "run", str(scenario), "--out", str(tmp_path / "runs"), "--json", "--set", "faults=[]"
    )
    assert second.status == 0, second.out[-2000:] + second.err
    spool = second.document["measures"]["spool"]
    assert (spool["found"], spool["accepted"], spool["states"]) == (5, 6, {"completed": 11})
    papers = on_paper(second.document)
    assert set(papers) == set(range(2, 13))
    # What the first run printed of job 2, before it was killed, lies on its own paper.
    assert on_paper(first.document) == {1: Counter({1: 1, 2: 1}), 2: Counter({1: 1})}
    again = launch("check", first.document["run_dir"], "--json")
    assert again.status == 0, "what later runs do to the spool is not the first one's story"


# Ends its own launcher when so many jobs are accepted.
MURDER = """
import os, runpy, signal, sys
sys.path.insert(0, os.path.dirname(sys.argv[1]))
from common.log import EventLog
log = EventLog.__call__
def heard(self, event, **facts):
    if event == "progress" and facts["done"] >= 4:
        os.kill(os.getpid(), signal.SIGKILL)
    log(self, event, **facts)
EventLog.__call__ = heard
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("promise", PROMISES)
def test_a_launcher_killed_during_the_spool_loses_nothing(promise: str, tmp_path: Path) -> None:
    """Whatever was accepted is printed by one of the two runs, as often as is promised."""
    scenario = tmp_path / "scenario.yaml"
    text = SCENARIO.format(promise=promise, jobs=8, pages=PAGES, faults="[]")
    scenario.write_text(text.replace("abort}", "abort, path: kept}"))
    words = ["run", str(scenario), "--out", str(tmp_path / "runs"), "--json"]
    killed = subprocess.run(
        [sys.executable, "-c", MURDER, str(ROOT / "run.py"), *words],
        capture_output=True, check=False, timeout=SECONDS,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL
    (first,) = (tmp_path / "runs").glob("*/*Z-*")
    second = launch(*words)
    assert second.status == 0, second.out[-2000:] + second.err
    launch("clean")
    accepted = {
        line["job"]
        for line in map(json.loads, (first / "journal.jsonl").read_text().splitlines())
        if line.get("why") == "accepted"
    }
    assert len(accepted) >= 4
    found = {path.name.split("-")[2]: path.parent.name
             for path in (tmp_path / "runs").glob("*/kept/*/*-*")}  # fmt: skip
    states = {int(item, 16): state for item, state in found.items()}
    assert accepted < states.keys()
    papers = [on_paper({"run_dir": str(first)}), on_paper(second.document)]
    for item in accepted:
        copies = sum((paper.get(item, Counter()) for paper in papers), Counter[int]())
        if promise == AT_MOST_ONCE:
            assert states[item] in ("completed", "aborted")
            assert max(copies.values(), default=0) <= 1
        else:
            assert states[item] == "completed"
        if states[item] == "completed":
            assert set(copies) == set(range(1, PAGES + 1))
