"""Every channel is measured as it is, with the same messages, beside C and Python's own means."""

from __future__ import annotations

import itertools
import math
import os
import subprocess
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import programs
from benchmarks.alternatives.channels import Line, multiprocessing_queue
from benchmarks.grid import channels, measuring, stations, traffic
from benchmarks.grid.channels import ALTERNATIVES, QUEUE, Form
from benchmarks.grid.measuring import (
    INSTEAD,
    OURS,
    Asked,
    C,
    Contest,
    Effort,
    Entrant,
    Result,
    Sample,
    Series,
    Terms,
    measure,
)
from benchmarks.measuring import Spread
from benchmarks.subjects import crew
from common import kinds
from common.kernel.objects import Maker
from tests.launching import launch

needs_c = pytest.mark.skipif(bool(programs.no_compiler()), reason=programs.no_compiler())

KINDS = kinds.names(kinds.CHANNELS)
# So little work that only whether it works is seen.
LITTLE = Effort(1, 0.0005)
REFERENCES = (
    "fifo", "pipe", "posix_queue", "ring", "socketpair", "sysv_queue", "tcp", "udp", "unix_dgram",
    "unix_seqpacket", "unix_stream",
)  # fmt: skip


@pytest.fixture
def maker(kernel_clean: None) -> Iterator[Maker]:
    with crew.maker() as making:
        yield making


def cpus() -> list[list[int]]:
    allowed = sorted(os.sched_getaffinity(0))
    return [allowed[:1], allowed[-1:]]


def first_contest(*wanted: str) -> Contest:
    with closing(channels.contests(Asked(LITTLE, wanted))) as found:
        return next(found)


# What is measured


@needs_c
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_measured_in_all_its_forms(kind: str, kernel_clean: None) -> None:
    """Throughput and round trip are finite, nothing fails, and nothing is left."""
    with closing(channels.contests(Asked(LITTLE, (kind,)))) as contests:
        for contest in itertools.islice(contests, 2):
            # Python's own means are measured once, below.
            taking = [each for each in contest.entrants if each.side != INSTEAD]
            found = measure(replace(contest, entrants=taking), LITTLE)
            assert found.failed == {}
            ours = {s.entrant.name for s in found.series.values() if s.entrant.side == OURS}
            assert ours == {form.name for form in channels.forms(kind)}
            for series in found.series.values():
                assert math.isfinite(series.interval.median)
                assert series.interval.median > 0
                assert series.cpu > 0


def test_what_python_has_stands_beside(kernel_clean: None) -> None:
    """Each alternative is measured, and each form of a kind is compared with the Queue."""
    with closing(channels.contests(Asked(LITTLE, ("pipe",)))) as contests:
        contest = next(contests)
        found = measure(contest, LITTLE)
    assert found.failed == {}
    assert found.series.keys() == {each.name for each in contest.entrants}
    names = [each.name for each in contest.entrants if each.side == INSTEAD]
    modules = [kinds.load(ALTERNATIVES, kind) for kind in kinds.names(ALTERNATIVES)]
    assert names == [module.NAME for module in modules]
    assert len(names) == 4
    assert contest.against["pipe"]["Queue"] == contest.against["pipe[batch=true]"]["Queue"] == QUEUE


@needs_c
def test_a_ring_is_compared_with_a_ring_as_long() -> None:
    """The C program has as many slots, so that both switch as seldom."""
    against = first_contest("ring").against
    assert against["ring"]["C"] == "C ring"
    assert against["ring[semaphores=posix,slots=64]"]["C"] == "C ring[slots=64]"


def test_sizes_that_are_refused_are_shown_with_the_kinds_own_reason() -> None:
    """What ``check`` says of a size stands in the contest, and the kind does not take part."""
    with closing(channels.contests(Asked(LITTLE, ("fifo", "unix_stream")))) as contests:
        for contest in contests:
            module = kinds.load(kinds.CHANNELS, "fifo")
            reason = module.check(module.Options(), contest.terms.payload)
            taking = "fifo" in [each.name for each in contest.entrants]
            assert contest.refused.get("fifo", "") == reason
            assert taking != bool(reason)
            assert "unix_stream" in [each.name for each in contest.entrants]
    assert contest.terms.payload == channels.SIZES[-1]
    assert "PIPE_BUF" in reason


def test_every_contest_is_on_one_core_and_on_two() -> None:
    """As far as this process may use two, for every size and both things that are measured."""
    with closing(channels.contests(Asked(LITTLE, ("sysv_queue",)))) as contests:
        terms = [contest.terms for contest in contests]
    cores = [1, 2][: len(os.sched_getaffinity(0))]
    assert terms == [
        Terms(what, size, count, 2)
        for size in channels.SIZES
        for count in cores
        for what in (traffic.THROUGHPUT, traffic.ROUND_TRIP)
    ]


def test_without_a_compiler_it_is_said_for_each_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lab's own figures are measured all the same."""
    monkeypatch.setenv("CC", "no-such-compiler")
    with closing(channels.contests(Asked(LITTLE, ("pipe", "ring")))) as contests:
        found = measure(next(contests), LITTLE)
    assert "there is no no-such-compiler here" in found.failed["C pipe"]
    assert found.failed.keys() == {"C pipe", "C ring"}
    assert {"pipe", "ring"} <= found.series.keys()


# Forms


def test_a_form_is_called_by_what_is_not_as_usual() -> None:
    """The default by its kind alone; the fastest with the options that make it so."""
    names = {kind: [form.name for form in channels.forms(kind)] for kind in KINDS}
    assert all(found[0] == kind for kind, found in names.items())
    assert names["pipe"] == ["pipe", "pipe[batch=true]"]
    assert names["ring"] == [
        "ring", "ring[semaphores=posix,slots=64]", "ring[semaphores=posix,slots=64,lock=none]"
    ]  # fmt: skip
    assert names["unix_dgram"] == ["unix_dgram"]


def test_busy_waiting_is_marked_and_the_sleeping_form_is_not() -> None:
    """The slot with the star burns the processor, with semaphores it does not."""
    contest = first_contest("one_slot")
    busy = {each.name: each.busy for each in contest.entrants}
    assert busy["one_slot"] is True
    assert busy["one_slot[sync=semaphores]"] is busy[QUEUE] is False


# Messages


def test_messages_differ_in_every_byte_and_none_looks_taken() -> None:
    """One that is lost, doubled, cut or joined with another is not taken for the right one."""
    for size in channels.SIZES:
        sent = traffic.messages(size)
        assert {len(each) for each in sent} == {size}
        for one, other in itertools.combinations(sent, 2):
            assert all(a != b for a, b in zip(one, other, strict=True))
        assert all(each[0] != ord("*") for each in sent)


def looped(change: Callable[[bytes], bytes] | None = None) -> tuple[Line, Line, ExitStack]:
    """Return two pipes as lines; the way back may change what passes."""
    stack = ExitStack()
    module = kinds.load(ALTERNATIVES, "connection")
    there, back = (module.line(Path(), stack) for _ in range(2))
    if change is not None:
        sender = back.sender
        back = Line(lambda: lambda message: sender()(change(message)), back.receiver)
    return there, back, stack


def test_a_message_that_changes_on_its_way_fails_the_entrant() -> None:
    """One byte of the last is enough; a channel that promises nothing is not held to it."""
    there, back, stack = looped(lambda message: message[:-1] + b"?")
    with stack:
        with (
            stations.crew(traffic.works(there, back, 64, 0, torn=False)) as made,
            pytest.raises(stations.StationFailed, match="lost or changed"),
        ):
            made.turn(traffic.CHECKED, 3, cpus())
        with stations.crew(traffic.works(there, back, 64, 0, torn=True)) as made:
            made.turn(traffic.CHECKED, 3, cpus())


def test_a_message_that_is_lost_shifts_the_last() -> None:
    """In a measured turn only the last is looked at: it is another one then."""
    waiting: deque[bytes] = deque()
    reading = iter(traffic.messages(64)[1:] * 2)
    there = Line(lambda: waiting.append, lambda: lambda: next(reading))
    first, second = traffic.works(there, there, 64, 0, torn=False)
    first()[traffic.THROUGHPUT](8)
    assert list(waiting) == traffic.messages(64)[:8]
    with pytest.raises(AssertionError, match="lost or changed"):
        second()[traffic.THROUGHPUT](8)


@pytest.mark.parametrize("size", [64, 1024, 8192])
def test_udp_loses_nothing_in_its_windows(size: int, maker: Maker) -> None:
    """Many times what its buffer holds arrives, with both processes on one core."""
    form = Form("udp", {}, "none")
    there, back = channels._lab_lines(form, size, maker)
    window = traffic.window(size)
    with stations.crew(traffic.works(there, back, size, window, torn=False)) as made:
        made.turn(traffic.THROUGHPUT, window * 40 + 1, [cpus()[0]] * 2)


# C


@needs_c
def test_the_c_program_knows_its_kinds() -> None:
    """One for every channel whose messages the kernel carries, and the ring."""
    found = programs.run([programs.reference("channel"), "kinds"])
    assert tuple(found["kinds"]) == REFERENCES
    assert {kind for kind in KINDS if channels.is_kernel(kind)} == set(REFERENCES) - {"ring"}


@needs_c
@pytest.mark.parametrize("what", ["throughput", "round_trip"])
@pytest.mark.parametrize("size", [8, 64, 1024, 4000])
@pytest.mark.parametrize("kind", REFERENCES)
def test_c_delivers_every_message(kind: str, size: int, what: str, tmp_path: Path) -> None:
    """The numbers that arrived add up, whatever their size, one way and there and back."""
    command = [
        programs.reference("channel"), kind, "500", str(tmp_path / "x"), f"size={size}",
        f"what={what}", "window=8",
    ]  # fmt: skip
    found = programs.run(command)
    assert found["sum"] == found["expected"] == 500 * 501 // 2
    assert found["size"] == size
    assert (found["median_seconds"] > 0) == (what == "round_trip")
    assert list(tmp_path.iterdir()) == []


@needs_c
@pytest.mark.parametrize("words", [["pipe"], ["pip", "5"], ["pipe", "5", "size=1"], ["pipe", "0"]])
def test_c_refuses_what_it_does_not_know(words: list[str]) -> None:
    """With its usage, and status 2."""
    command = [programs.reference("channel"), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("usage:")


# Goals


def made_up(terms: Terms, speeds: dict[tuple[str, str], float]) -> Result:
    """Return a result with the given figure for each (kind, side)."""
    series = {}
    for (kind, side), speed in speeds.items():
        name = f"C {kind}" if side == C else kind
        entrant = Entrant(name, kind, side, lambda n: Sample(1, 1, 1))
        series[name] = Series(entrant, terms, True, [speed], 1.0, 1.0)
    contest = Contest(terms, "messages/s", True, [each.entrant for each in series.values()])
    return Result(contest, series, {}, Spread(1, 1, 1))


def test_goals_are_judged_on_one_core_for_the_small_sizes() -> None:
    """Kernel channels against C and the Queue, the ring against the fastest of them."""
    speeds = {
        ("pipe", OURS): 6.5, ("pipe", C): 10.0, ("fifo", OURS): 3.0, ("fifo", C): 10.0,
        ("ring", OURS): 13.0, ("ring", C): 99.0, (QUEUE, INSTEAD): 2.0,
    }  # fmt: skip
    terms = Terms(traffic.THROUGHPUT, 64, 1, 2)
    judged = channels.goals([made_up(terms, speeds)])
    assert [(each.goal.of, each.goal.to, each.met) for each in judged] == [
        ("pipe", "C pipe", True),
        ("pipe", QUEUE, True),
        ("fifo", "C fifo", False),
        ("fifo", QUEUE, False),
        ("ring", "pipe", True),
    ]
    for other in (
        terms._replace(payload=8192),
        terms._replace(cores=2),
        terms._replace(what="round trip"),
    ):
        assert channels.goals([made_up(other, speeds)]) == []


# The verb


@needs_c
def test_the_document_of_one_kind_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One JSON document, nothing else; the picture beside it; the status by the goals."""
    monkeypatch.setattr(measuring, "QUICK", LITTLE)
    monkeypatch.setattr(multiprocessing_queue, "SETTLES", 0.0)
    plot = tmp_path / "figures.svg"
    words = ("--quick", "--kinds", "sysv_queue", "--json", "--plot", str(plot))
    done = launch("bench", "channels", *words)
    document = done.document
    found = document["families"]["channels"]
    assert done.status in (0, 1), done.err
    assert done.status == (0 if all(goal["met"] for goal in found["goals"]) else 1)
    assert document["machine"]["cores"] == len(os.sched_getaffinity(0))
    assert len(found["contests"]) == 8 * min(2, len(os.sched_getaffinity(0)))
    assert all(contest["failed"] == {} for contest in found["contests"])
    assert len(found["goals"]) == 4
    assert plot.read_text().startswith("<svg")
