"""What ``trace`` does: traces of real runs, parts of them, files, and what cannot be done."""

from __future__ import annotations

import functools
import gzip
import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from common.report.trace import file
from tests.launching import launch
from tests.report.trace_rules import Trace, read
from tests.verdict.scenes import OPERATIONS, Scene


class Real(NamedTuple):
    """A run, what ``trace`` said of it, and the trace it wrote."""

    run: dict[str, Any]
    told: dict[str, Any]
    trace: Trace


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Real]:
    """Return a function that runs a variant of a scenario, once, and traces it."""

    @functools.cache
    def run_and_trace(scenario: str, variant: str) -> Real:
        out = str(tmp_path_factory.mktemp("real"))
        words = ("run", scenario, "--variant", variant, "--out", out, "--json")
        run = launch(*words).document
        told = launch("trace", scenario, "--out", out, "--json").document
        return Real(run, told, read(Path(told["path"]).read_text()))

    return run_and_trace


@pytest.mark.parametrize(
    ("scenario", "variant", "arrows"),
    [
        ("exchange/lost_update", "unlocked", {"overwritten"}),
        ("exchange/lost_update", "locked", set()),
        ("exchange/torn_read", "unlocked", set()),
        ("exchange/order_desk", "unlocked", {"message", "overwritten"}),
        ("spooler/bounded_buffer", "no_mutex", {"message"}),
        ("spooler/one_slot", "star", {"message"}),
        ("spooler/queue", "default", {"message"}),
        ("spooler/shared_paper", "unlocked", {"message"}),
        ("receipts", "unlocked", {"message", "overwritten"}),
    ],
)
def test_a_real_run_keeps_every_rule(
    real: Callable[[str, str], Real], scenario: str, variant: str, arrows: set[str]
) -> None:
    """Each record is a slice, each process a track, each finding a moment; nothing is at fault."""
    run, told, trace = real(scenario, variant)
    assert trace.faults == []
    assert Path(told["path"]) == Path(run["run_dir"]) / "trace.json"
    known = {each.name for each in OPERATIONS.values()}
    shown = [bar for bar in trace.bars if bar.name.split()[0] in known]
    assert len(shown) == told["operations"] == told["of"]
    assert {bar.track for bar in trace.bars} == {each["name"] for each in run["processes"]}
    assert {kind for kind, _, _ in trace.arrows} >= arrows
    assert len(trace.arrows) == told["arrows"]
    kinds = {moment["name"].split()[0] for moment in trace.moments}
    assert kinds == {finding["kind"] for finding in run["findings"]}


def test_holds_of_one_lock_do_not_overlap(real: Callable[[str, str], Real]) -> None:
    """With the lock, whoever holds it holds it alone, and who waits is shown waiting."""
    run, told, trace = real("exchange/lost_update", "locked")
    assert run["as_expected"]
    holds = sorted(trace.named("hold"), key=lambda bar: bar.start)
    assert len(holds) == told["operations"]
    assert all(one.end <= other.start for one, other in pairwise(holds))
    assert trace.named("wait")


def test_an_answer_follows_from_the_order(real: Callable[[str, str], Real]) -> None:
    """Client to broker, broker to client: every order that was filled has both arrows."""
    run, _, trace = real("exchange/order_desk", "unlocked")
    assert run["as_expected"]
    ways = [(a.track[:6], b.track[:6]) for kind, a, b in trace.arrows if kind == "message"]
    assert ways.count(("client", "broker")) == ways.count(("broker", "client")) == 200


def racing(directory: Path) -> Path:
    """Store a run of 300 updates by two, of which one pair races at 30 ms; return its directory."""
    scene = Scene(directory, lock="none")
    stock = 10000.0
    for turn in range(298):
        at = turn * 200_000
        if turn == 150:
            scene.trade("b", 7, stock, (at, at, at + 9000), checked=3.72)
            stock = scene.trade("a", 3, stock, (at, at, at + 9900), checked=3.72)
        else:
            stock = scene.trade("a", 1, stock, (at, at, at + 9000), checked=3.72)
    scene.case()
    return directory


def traced(run: Path, *words: str) -> dict[str, Any]:
    """Return what ``trace --json`` says, and the trace it wrote as ``trace``."""
    told = launch("trace", str(run), *words, "--json").document
    path = Path(told["path"])
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    return {**told, "trace": read(text)}


def test_around_a_finding(tmp_path: Path) -> None:
    """The worst case and a margin on each side: 1 ms holds five updates before and five after."""
    told = traced(racing(tmp_path / "run"), "--around", "1", "--margin", "1")
    assert (told["operations"], told["of"], told["arrows"]) == (12, 299, 1)
    assert told["trace"].faults == []


def test_the_first_operations(tmp_path: Path) -> None:
    """As many as asked for, by the time they were asked for; more than there are is all."""
    run = racing(tmp_path / "run")
    assert traced(run, "--first", "7")["operations"] == 7
    assert traced(run, "--first", "1000")["operations"] == 299


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--around", "9"), "there is no finding 9 (the run has: 1 lost_update"),
        (("--around", "0"), "'0' is not a whole number from 1"),
        (("--first", "-1"), "'-1' is not a whole number"),
        (("--margin", "nan"), "'nan' is not a number of milliseconds"),
        (("--first", "1", "--around", "1"), "not allowed with"),
        (("--output", "/nowhere/trace.json"), "/nowhere/trace.json cannot be written: No such"),
        (("--output", "{tmp}"), "cannot be written: Is a directory"),
        (("--output", "{tmp}/full"), "full cannot be written: No space left"),
    ],
)
def test_what_cannot_be_done_is_one_error(
    tmp_path: Path, words: tuple[str, ...], problem: str
) -> None:
    """Status 2, the place and the mend on standard error, nothing on standard output."""
    (tmp_path / "full").symlink_to("/dev/full")
    run = str(racing(tmp_path / "run"))
    done = launch("trace", run, *(word.format(tmp=tmp_path) for word in words))
    assert (done.status, done.out) == (2, "")
    assert problem in done.err


def test_a_finding_without_a_moment_cannot_be_looked_at(tmp_path: Path) -> None:
    """A crash names no operation to look around."""
    scene = Scene(tmp_path / "run")
    scene.trade("a", 1, 10000, (0, 10, 50), checked=3.72)
    scene.outcomes["a"].exit = 1
    scene.case()
    done = launch("trace", str(tmp_path / "run"), "--around", "1")
    assert done.status == 2
    assert "process_crashed, names no moment of the run" in done.err


def test_a_directory_that_is_no_run(tmp_path: Path) -> None:
    """One error, nothing written."""
    done = launch("trace", str(tmp_path))
    assert done.status == 2
    assert "not a stored run" in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_ends_in_gz_is_packed(tmp_path: Path) -> None:
    """The same events, and much smaller."""
    run = racing(tmp_path / "run")
    plain = traced(run)
    packed = traced(run, "--output", str(tmp_path / "t.json.gz"))
    assert packed["events"] == plain["events"]
    assert packed["trace"] == plain["trace"]
    assert Path(packed["path"]).stat().st_size * 4 < Path(plain["path"]).stat().st_size


def test_a_trace_replaces_the_last_one_whole(tmp_path: Path) -> None:
    """Writing again leaves one file; nothing of the passing one is left."""
    run = racing(tmp_path / "run")
    (run / "trace.json").write_text("old")
    before = {path.name for path in run.iterdir()}
    assert traced(run)["trace"].faults == []
    assert {path.name for path in run.iterdir()} == before


def test_a_trace_that_fails_leaves_the_last_one(tmp_path: Path) -> None:
    """What stops in the middle changes nothing."""
    path = tmp_path / "trace.json"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError):
        file.write(path, {}, ({"n": 1 // n} for n in (1, 0)))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_no_ordinary_file_is_written_to(tmp_path: Path) -> None:
    """A FIFO stays one, and its reader gets the trace."""
    scene = Scene(tmp_path / "run")
    scene.trade("a", 1, 10000, (0, 10, 50), checked=3.72)
    scene.case()
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        done = launch("trace", str(tmp_path / "run"), "--output", str(path))
        text = os.read(reader, 1 << 16).decode()
    finally:
        os.close(reader)
    assert done.status == 0
    assert path.is_fifo()
    assert [bar.name for bar in read(text).bars if not bar.inside] == ["buy DOLLAR"]


def test_the_text_says_where_and_how_much(tmp_path: Path) -> None:
    """One line: the file, the operations, the arrows."""
    run = racing(tmp_path / "run")
    done = launch("trace", str(run))
    assert done.out == f"{run}/trace.json: 299 of 299 operations, 1 arrow\n"
    assert done.err == ""
