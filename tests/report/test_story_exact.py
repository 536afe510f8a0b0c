"""What is told of a run that followed a schedule: the order of its steps, and no other."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from common.errors import StoredRunError
from common.history import trace
from common.history.case import Case
from common.history.trace import Passed
from spooler import operations as spooler
from tests.launching import ROOT, launch
from tests.report.stories import story, texts
from tests.verdict.scenes import Scene, item, queue

# Steps that are accesses, as a schedule and as a story name them.
ACCESSES = {"check": "checks", "read": "reads", "write": "writes"}


def run_and_explain(config: Path, out: Path) -> tuple[list[Passed], list[dict[str, Any]], str]:
    """Run a scenario; returns the order of its steps, its stories, and the text about them."""
    run_dir = launch("run", str(config), "--out", str(out), "--json").document["run_dir"]
    stories = launch("explain", run_dir, "--json").document["findings"]
    text = launch("explain", run_dir, NO_COLOR="1", COLUMNS="100").out
    lines = json.loads((Path(run_dir) / "outcome.json").read_text())["trace"]
    return trace.read(lines), stories, text


@pytest.mark.parametrize(
    "scenario", ["exchange/two_traders", "mutants/dropped", "mutants/shrunk", "mutants/wrong_row"]
)
def test_the_order_is_that_of_the_schedule(tmp_path: Path, scenario: str) -> None:
    """Accesses are told in the order in which they were let go; nothing stays open."""
    passed, stories, text = run_and_explain(ROOT / "configs" / f"{scenario}.yaml", tmp_path)
    order = [(each.process, each.step) for each in passed if each.step in ACCESSES]
    assert {each["kind"] for each in stories} == {"lost_update", "data_race"}
    for told in stories:
        rows = [row for row in told["rows"] if row["step"] in ACCESSES.values()]
        assert [(row["process"], row["step"].removesuffix("s")) for row in rows] == order
        assert told["exact"]
        assert all(row["in_order"] for row in told["rows"])
    assert "~" not in text
    assert ".." not in text


def test_locks_are_told_where_they_were_taken_and_given(tmp_path: Path) -> None:
    """A lock that is taken for the write alone is taken between the read and the write."""
    _, stories, _ = run_and_explain(ROOT / "configs/mutants/shrunk.yaml", tmp_path)
    for name in ("trader-0", "trader-1"):
        steps = [row["step"] for row in stories[0]["rows"] if row["process"] == name]
        assert steps == ["enters", "checks", "reads", "takes", "writes", "leaves", "gives"]


def test_a_ring_is_told_in_the_order_of_its_steps(tmp_path: Path) -> None:
    """Position read, job copied, position written: of two producers, exactly in turn."""
    config = tmp_path / "ring.yaml"
    config.write_text(
        "system: spooler\n"
        "channels:\n"
        "  jobs: {kind: ring, slots: 4, lock: none}\n"
        "processes:\n"
        "  - {role: producer, count: 2, jobs: 1, to: jobs}\n"
        "  - {role: printer, source: jobs}\n"
        "schedule:\n"
        "  - producer-0: check\n"
        "  - producer-1: [check, read]\n"
        "  - producer-0: [read, write, release]\n"
        "expect: {verdict: anomaly, findings: [job_lost]}\n"
    )
    _, stories, _ = run_and_explain(config, tmp_path)
    told = next(each for each in stories if each["kind"] == "job_lost")
    steps = [
        (row["process"].removeprefix("producer-"), row["step"])
        for row in told["rows"]
        if row["process"] != "printer-0" and row["step"] not in ("enters", "leaves")
    ]
    assert steps == [
        ("0", "reads"), ("1", "reads"), ("1", "offers"),
        ("0", "offers"), ("0", "writes"), ("1", "writes"),
    ]  # fmt: skip
    assert told["exact"]


def overlapping(directory: Path, *, guest: bool = False) -> Case:
    """Draw two purchases at once, and the steps that they passed."""
    scene = Scene(directory, stock=100.0, lock="none")
    scene.trade("a", 5, 100, (10, 10, 90), checked=3.72)
    scene.trade("b", 7, 100, (20, 20, 80), checked=3.72)
    order = [("a", "acquire", 5), ("b", "acquire", 15), ("b", "check", 25), ("a", "check", 30)]
    order += [("b", "read", 35), ("b", "write", 40), ("a", "read", 45), ("a", "write", 85)]
    passed = [Passed(at, who, step) for who, step, at in order if not (guest and who == "b")]
    return scene.case(trace=trace.written(passed))


def test_the_schedule_is_believed_where_values_do_not_tell(tmp_path: Path) -> None:
    """Of two who read before either wrote, the steps tell who was first; values do not."""
    told = story(overlapping(tmp_path / "run"), "data_race")
    accesses = [(row["process"], row["step"], row["at_ns"]) for row in told["rows"]]
    assert [each for each in accesses if each[1] in ACCESSES.values()] == [
        ("b", "checks", 25), ("a", "checks", 30), ("b", "reads", 35),
        ("b", "writes", 40), ("a", "reads", 45), ("a", "writes", 85),
    ]  # fmt: skip


def test_what_the_kernel_synchronises_is_one_turn(tmp_path: Path) -> None:
    """To send to a queue, or take from it, passes no step of its own: it is where it began."""
    scene = Scene(tmp_path / "run", channels=[queue()])
    scene.job("one", spooler.PUT, item(0, 1), (10, 10, 20))
    scene.job("two", spooler.TAKE, item(0, 1), (30, 30, 40))
    scene.outcomes["two"].signal = signal.SIGKILL
    passed = [Passed(5, "one", "send"), Passed(25, "two", "receive")]
    told = story(scene.case(trace=trace.written(passed)), "job_lost")
    assert [(row["step"], row["at_ns"]) for row in told["rows"]] == [("offers", 10), ("takes", 30)]
    assert told["exact"]


def test_who_joined_beside_the_schedule_stays_open(tmp_path: Path) -> None:
    """Of a process that passed no step only the stamps of its records are known."""
    told = story(overlapping(tmp_path / "run", guest=True), "data_race")
    assert not told["exact"]
    bounds = {
        (row["process"], row["step"]): (row["at_ns"], row["from_ns"], row["to_ns"])
        for row in told["rows"]
    }
    assert bounds["b", "checks"] == (None, 20, 80)
    assert bounds["a", "checks"] == (30, 30, 30)


def test_of_a_long_run_the_beginning_is_exact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no more steps were kept, what lies behind them is told by stamps alone."""
    case = overlapping(tmp_path / "run")
    monkeypatch.setattr(trace, "MOST", len(case.outcome.trace))
    rows = story(case, "data_race")["rows"]
    # The last step that was kept lies inside of the one, behind the end of the other.
    known = {row["process"] for row in rows if row["step"] == "reads" and row["at_ns"] is not None}
    assert known == {"b"}


def test_a_run_without_a_schedule_has_no_trace(tmp_path: Path) -> None:
    """Nothing is claimed of its order."""
    config = ROOT / "configs/exchange/torn_read.yaml"
    passed, stories, _ = run_and_explain(config, tmp_path)
    assert passed == []
    assert not any(told["exact"] for told in stories)


def test_a_race_is_told_as_one_that_may_come_out_otherwise(tmp_path: Path) -> None:
    """Its rows have an order, and the text says what made it."""
    _, _, text = run_and_explain(ROOT / "configs/mutants/dropped.yaml", tmp_path)
    assert "only the schedule made this order: in another run it may be another one" in text


def test_steps_are_read_as_they_were_written() -> None:
    """With locks, whose names have spaces, and without; only the first ones are kept."""
    steps = [
        Passed(0, "east-0", "acquire", takes="the lock of DOLLAR"),
        Passed(7, "east-0", "release", gives="the lock of DOLLAR"),
        Passed(9, "west-0", "check"),
    ]
    assert trace.written(steps)[0] == "0 east-0 acquire takes the lock of DOLLAR"
    assert trace.read(trace.written(steps)) == steps
    assert len(trace.written(Passed(at, "a", "read") for at in range(trace.MOST + 1))) == trace.MOST


@pytest.mark.parametrize(
    "line", ["", "x a read", "1 a", "1 a read takes", "1 a read has the lock", "-1 a read"]
)
def test_a_line_that_is_no_step_is_refused(line: str) -> None:
    """With its place."""
    with pytest.raises(StoredRunError, match=r"outcome\.json: trace\[1\] is not a step"):
        trace.read(["1 a read", line])


def test_a_damaged_trace_is_one_error(tmp_path: Path) -> None:
    """Status 2, nothing on standard output."""
    overlapping(tmp_path / "run")
    path = tmp_path / "run/outcome.json"
    path.write_text(path.read_text().replace("25 b check", "25 b"))
    done = launch("explain", str(tmp_path / "run"))
    assert (done.status, done.out) == (2, "")
    assert "trace[2] is not a step" in done.err


def test_the_rows_of_a_told_lock_have_its_name(tmp_path: Path) -> None:
    """Who gives a lock back, and which, stands behind its leaving."""
    _, stories, _ = run_and_explain(ROOT / "configs/mutants/wrong_row.yaml", tmp_path)
    rows = texts(stories[0])
    assert ("wrong-0", "gives the lock of EURO back") in rows
    assert ("right-0", "gives the lock of DOLLAR back") in rows
