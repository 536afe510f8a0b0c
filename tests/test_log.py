"""The log of a run: every event is in it when it has happened, in lines that nothing tears."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.typing import EventDict

from common.log import INCOMPLETE, LONGEST, EventLog
from tests.conftest import Fork
from tests.launching import ROOT, SECONDS

WRITERS, LINES = 8, 400


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    """Yield a log that tells nobody."""
    made = EventLog(tmp_path / "log.jsonl", "nothing")
    yield made
    made.close()


@pytest.fixture
def written(tmp_path: Path) -> Callable[[], list[dict[str, Any]]]:
    """Return a function that reads the lines back; a line that is not whole is a failure."""

    def read() -> list[dict[str, Any]]:
        text = (tmp_path / "log.jsonl").read_text()
        assert not text or text.endswith("\n")
        return [json.loads(line) for line in text.splitlines()]

    return read


@contextmanager
def full_after(size: int) -> Iterator[None]:
    """Have the kernel take so many bytes of a file and not one more (RLIMIT_FSIZE, as ENOSPC)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_an_event_is_on_disk_when_the_call_returns(
    log: EventLog, written: Callable[[], list[dict[str, Any]]]
) -> None:
    """Who is killed after it leaves the line; the first is no exception."""
    log("run_started", scenario="exchange/script")
    assert [line["event"] for line in written()] == ["run_started"]
    log("gate_open", gate_ns=1)
    assert [line["event"] for line in written()] == ["run_started", "gate_open"]


def test_who_tells_nobody_never_imports_structlog(tmp_path: Path) -> None:
    """The file needs none of it: its import takes longer than a small run."""
    program = (
        "import sys; from pathlib import Path; from common.log import EventLog\n"
        "EventLog(Path(sys.argv[1]), 'nothing')('process_hung', process='trader-0')\n"
        "assert 'structlog' not in sys.modules"
    )
    path = str(tmp_path / "log.jsonl")
    subprocess.run([sys.executable, "-c", program, path], cwd=ROOT, check=True, timeout=SECONDS)


def test_a_line_is_what_structlog_would_write(log: EventLog, tmp_path: Path) -> None:
    """The same order of the same fields, the same JSON, also of what JSON does not know."""
    facts = {"process": "Börse \ud800", "path": tmp_path, "summary": {"balance": 0.1, "ids": [1]}}
    log("process_summary", **facts)
    line = (tmp_path / "log.jsonl").read_text()
    stamp = {key: json.loads(line)[key] for key in ("time", "at_ns", "line")}
    event: EventDict = {**stamp, **facts, "event": "process_summary"}
    event = structlog.processors.add_log_level(None, "info", event)
    shown = structlog.processors.JSONRenderer(default=str)(None, "info", event)
    assert line == f"{shown!s}\n"


def test_lines_are_numbered(log: EventLog, written: Callable[[], list[dict[str, Any]]]) -> None:
    """From 1, without a gap; what is only shown has no number."""
    for event in ("run_started", "progress", "gate_open", "progress", "run_ended"):
        log(event)
    assert [line["line"] for line in written()] == [1, 2, 3]


@pytest.mark.parametrize(
    "long",
    ["x" * 10_000, "\U0001f600\\\"\n" * 5_000, [{"kind": "sysv_sem", "id": n} for n in range(999)]],
    ids=["text", "escapes", "list"],
)  # fmt: skip
def test_a_line_of_more_than_a_page_is_shortened_and_says_so(
    log: EventLog, written: Callable[[], list[dict[str, Any]]], tmp_path: Path, long: object
) -> None:
    """The longest facts become texts that are cut; the others stay, and the line is JSON."""
    log("finding", kind="lost_update", count=3, worst=long, last="y" * 3_000)
    (line,) = written()
    assert (tmp_path / "log.jsonl").stat().st_size <= LONGEST
    assert (line["kind"], line["count"], line["event"]) == ("lost_update", 3, "finding")
    whole = long if isinstance(long, str) else json.dumps(long)
    assert whole.startswith(line["worst"])
    assert line["shortened"]["worst"] == len(whole)


def test_a_line_of_too_many_facts_says_how_many(
    log: EventLog, written: Callable[[], list[dict[str, Any]]], tmp_path: Path
) -> None:
    """Where their names alone fill a page there is nothing to cut: they are counted."""
    log("event", **{f"fact_{number}": "x" for number in range(600)})
    (line,) = written()
    assert (tmp_path / "log.jsonl").stat().st_size <= LONGEST
    assert (line["event"], line["shortened"]) == ("event", 600)


def test_a_line_of_exactly_a_page_is_left_alone(
    log: EventLog, written: Callable[[], list[dict[str, Any]]], tmp_path: Path
) -> None:
    """4096 bytes are whole, one more is not."""
    log("event", fact="")
    room = LONGEST - (tmp_path / "log.jsonl").stat().st_size
    log("event", fact="x" * room)
    log("event", fact="x" * (room + 1))
    assert [line.get("shortened") for line in written()] == [None, None, {"fact": room + 1}]


def test_wherever_the_disk_is_full_the_half_line_is_cut_off_and_marked(tmp_path: Path) -> None:
    """At every byte of three lines: whole lines in order, then the one that says it, if it fits."""
    path = tmp_path / "whole"
    whole = EventLog(path, "nothing")
    for number in range(3):
        whole("process_ended", process=f"trader-{number}", exit=0)
    whole.close()
    size = path.stat().st_size
    marked = 0
    for most in range(size):
        path = tmp_path / f"{most}"
        log = EventLog(path, "nothing")
        with full_after(most):
            for number in range(3):
                log("process_ended", process=f"trader-{number}", exit=0)
        log.close()
        text = path.read_text()
        assert not text or text.endswith("\n"), most
        lines = [json.loads(line) for line in text.splitlines()]
        events, last = lines[:-1], lines[-1:]
        assert [line["line"] for line in events] == [1, 2, 3][: len(events)]
        assert [line["event"] for line in last] == [INCOMPLETE] * len(last), most
        assert log.incomplete == "File too large"
        marked += len(last)
        path.unlink()
    # A line that says it is no longer than one that was cut, but for the very first.
    assert marked > size / 2


def test_an_incomplete_log_ends_there(
    log: EventLog, written: Callable[[], list[dict[str, Any]]]
) -> None:
    """What happens after that is not written, though there is room again: nothing is in between."""
    log("run_started", scenario="s" * 500)
    assert log.incomplete is None
    with full_after(600):
        log("gate_open", reason="r" * 500)
    log("run_ended", verdict="valid")
    assert [line["event"] for line in written()] == [INCOMPLETE]


def test_an_incomplete_log_gives_half_of_it_back_once(
    log: EventLog, written: Callable[[], list[dict[str, Any]]], tmp_path: Path
) -> None:
    """For what is evidence: its first lines stay, and the last still says that it is incomplete."""
    assert not log.give_way()
    with full_after(20_000):
        for number in range(500):
            log("operation", seq=number)
    size = (tmp_path / "log.jsonl").stat().st_size
    assert size > 19_000
    assert log.give_way()
    assert not log.give_way()
    lines = written()
    assert [line["line"] for line in lines[:-1]] == list(range(1, len(lines)))
    assert lines[-1]["event"] == INCOMPLETE
    assert size / 2 - 300 < (tmp_path / "log.jsonl").stat().st_size <= size / 2


def test_lines_of_many_writers_are_never_torn(tmp_path: Path, fork: Fork) -> None:
    """Eight processes append to one file: as many lines come out as went in, each of them whole."""
    path, gate = tmp_path / "log.jsonl", os.pipe()

    def write(writer: int) -> None:
        os.close(gate[1])
        log = EventLog(path, "nothing")
        os.read(gate[0], 1)
        for number in range(LINES):
            log("line", writer=writer, number=number, text=chr(97 + writer) * (number * 37 % 5000))

    writers = [fork(partial(write, writer)) for writer in range(WRITERS)]
    os.close(gate[1])
    os.close(gate[0])
    assert [writer.ended() for writer in writers] == [0] * WRITERS
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for writer in range(WRITERS):
        mine = [line for line in lines if line["writer"] == writer]
        assert [line["number"] for line in mine] == list(range(LINES))
        assert all(set(line["text"]) <= {chr(97 + writer)} for line in mine)
    assert len(lines) == WRITERS * LINES
