"""What ``run.py bench`` makes of measurements: intervals, refusals, ranks, goals, pictures.

No figure of a machine is asserted; where one is needed it is made up.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks import bench, grid, plotting, programs
from benchmarks.grid import report, stations
from benchmarks.grid.measuring import (
    INSTEAD,
    OURS,
    C,
    Contest,
    Effort,
    Entrant,
    Judged,
    Result,
    Sample,
    Series,
    Terms,
    Unlike,
    interval,
    measure,
    ratios,
)
from benchmarks.grid.stations import StationFailed, Turn
from benchmarks.measuring import Goal, Spread
from common import kinds
from common.kernel import existing
from common.kernel.ledger import read_ledger

TERMS = Terms("throughput", 64, 1, 2)
SVG = "{http://www.w3.org/2000/svg}"
STEADY, UNSTEADY = Spread(0.01, 0.01, 0.011), Spread(0.012, 0.01, 0.02)


def entrant(
    name: str, figure: float = 1.0, side: str = OURS, busy: bool = False, kind: str = ""
) -> Entrant:
    return Entrant(name, kind or name, side, lambda n: Sample(figure, n, 0.0), "waits", busy)


def series(
    name: str, figures: Sequence[float], terms: Terms = TERMS, more: bool = True, **about: Any
) -> Series:
    return Series(entrant(name, **about), terms, more, figures, 1e-6, 2e-6)


def result(
    *measured: Series, against: dict[str, dict[str, str]] | None = None, noise: Spread = STEADY
) -> Result:
    first = measured[0]
    entrants = [each.entrant for each in measured]
    contest = Contest(first.terms, "messages/s", first.more, entrants, against or {})
    return Result(contest, {each.entrant.name: each for each in measured}, {}, noise)


# Figures


@pytest.mark.parametrize(
    ("count", "left_out", "coverage"), [(3, 0, 0.75), (5, 0, 0.9375), (11, 2, 0.934570)]
)
def test_an_interval_is_the_narrowest_that_is_sure_enough(
    count: int, left_out: int, coverage: float
) -> None:
    """Of 11 figures the third and the ninth; of 5 the ends; of 3 their ends, and less surely."""
    found = interval([float(n) for n in reversed(range(count))])
    assert found.median == (count - 1) / 2
    assert (found.low, found.high) == (left_out, count - 1 - left_out)
    assert found.coverage == pytest.approx(coverage, abs=1e-6)


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        (series("b", [1.0], TERMS._replace(payload=1024)), "payload 64 against 1024"),
        (series("b", [1.0], TERMS._replace(cores=2)), "cores 1 against 2"),
        (series("b", [1.0], TERMS._replace(processes=8)), "processes 2 against 8"),
        (series("b", [1.0], TERMS._replace(what="round trip")), "what throughput against round"),
        (series("b", [1.0], busy=True), "b waits busily, a sleeps"),
        (series("b", [1.0, 2.0]), "did not take turns"),
    ],
)
def test_what_is_not_alike_is_not_compared(other: Series, difference: str) -> None:
    """Payload, pinning, number of processes and the way of waiting: the difference is named."""
    with pytest.raises(Unlike, match=difference):
        ratios(series("a", [1.0]), other)


def test_a_ratio_is_of_speed_whichever_figure_is_better() -> None:
    """Twice the messages, or half the time, is twice as fast; and it is taken round by round."""
    assert ratios(series("a", [2, 40]), series("b", [1, 20])) == [2, 2]
    trips = series("a", [5, 50], more=False), series("b", [10, 100], more=False)
    assert ratios(*trips) == [2, 2]


def test_entrants_take_turns_after_they_have_warmed_up() -> None:
    """Each is tried until it is known how many are enough; then A B A B, always as many."""
    calls: list[tuple[str, int]] = []

    def runner(name: str, each: float) -> Callable[[int], Sample]:
        def run(count: int) -> Sample:
            calls.append((name, count))
            return Sample(1.0, count * each, 0.0)

        return run

    entrants = [
        Entrant("a", "a", OURS, runner("a", 0.001)),
        Entrant("b", "b", OURS, runner("b", 0.002)),
    ]
    measure(Contest(TERMS, "", True, entrants), Effort(3, 1.0))
    assert calls[-6:] == [("a", 1000), ("b", 500)] * 3
    assert set(calls[:-6]) == {
        ("a", 16),
        ("a", 128),
        ("a", 1000),
        ("b", 16),
        ("b", 128),
        ("b", 500),
    }


def test_a_first_try_that_was_held_up_does_not_count() -> None:
    """A machine that stands still for a second in the first try does not make every turn short."""
    walls = iter([1.0])
    counts: list[int] = []

    def run(count: int) -> Sample:
        counts.append(count)
        return Sample(1.0, next(walls, count * 0.001), 0.0)

    measure(Contest(TERMS, "", True, [Entrant("a", "a", OURS, run)]), Effort(2, 2.0))
    assert counts[-2:] == [2000, 2000]


def test_who_settles_slowly_has_longer_turns() -> None:
    """An entrant that shows a beginning only for a while is run for longer than the others."""
    counts: list[int] = []

    def run(count: int) -> Sample:
        counts.append(count)
        return Sample(1.0, count * 0.001, 0.0)

    measure(Contest(TERMS, "", True, [Entrant("a", "a", OURS, run, settles=5.0)]), Effort(1, 1.0))
    assert counts[-1] == 5000


def test_who_fails_is_left_out_and_it_is_said_why() -> None:
    """Failing in a late turn, with the others measured as if it had not been there."""
    turns = iter(range(4))

    def run(count: int) -> Sample:
        if next(turns, None) is None:
            raise StationFailed("it broke")
        return Sample(1.0, 1.0, 0.0)

    entrants = [Entrant("a", "a", OURS, run), entrant("b")]
    found = measure(Contest(TERMS, "", True, entrants), Effort(5, 0.001))
    assert found.failed == {"a": "it broke"}
    assert list(found.series) == ["b"]
    assert found.ratio("b", "a") is None


# Ranks


def test_neighbours_that_overlap_are_about_the_same() -> None:
    """A place with = where the interval meets the one above, without where it does not."""
    found = result(series("low", [1, 1, 1]), series("mid", [5, 6, 9]), series("high", [8, 9, 10]))
    lines = [line.split()[:2] for line in report.contest(found).splitlines()[2:5]]
    assert lines == [["1", "high"], ["2=", "mid"], ["3", "low"]]


def test_the_least_is_first_where_less_is_better() -> None:
    """Of round trips the shortest has the first place."""
    found = result(series("slow", [9.0], more=False), series("fast", [1.0], more=False))
    assert [each.entrant.name for each in found.ranking(busy=False)] == ["fast", "slow"]


def test_who_waits_busily_has_no_place_among_those_who_sleep() -> None:
    """It is listed apart, without a place, and with no ratio to one that sleeps."""
    found = result(
        series("asleep", [1.0]),
        series("busy", [9.0], busy=True),
        against={"busy": {"Queue": "asleep"}, "asleep": {"Queue": "asleep"}},
    )
    told = report.contest(found)
    assert told.index("  1  asleep") < told.index("waiting busily") < told.index("busy  9.00")
    (shown,) = [each for each in report.document(found)["figures"] if each["name"] == "busy"]
    assert shown["place"] is None
    assert shown["against"]["Queue"]["ratio"] is None


def test_c_programs_stand_beside_and_not_in_the_ranking() -> None:
    """The figure of the C program is a column of the entrant that does the same work."""
    found = result(
        series("pipe", [50.0]), series("C pipe", [100.0], side=C),
        against={"pipe": {"C": "C pipe"}},
    )  # fmt: skip
    assert [each.entrant.name for each in found.ranking(busy=False)] == ["pipe"]
    assert "0.500 (0.500 .. 0.500)" in report.contest(found)


def test_a_noisy_machine_is_told() -> None:
    """With the times that the fixed loop took; on a steady one nothing is said."""
    assert "10.0 to 20.0 ms" in report.contest(result(series("a", [1.0]), noise=UNSTEADY))
    assert "noisy" not in report.contest(result(series("a", [1.0])))


def test_what_does_not_take_part_is_shown_with_the_reason() -> None:
    """Refused is what a kind is like; not measured is what this machine is like."""
    contest = Contest(TERMS, "", True, [entrant("a")], refused={"pipe": "over PIPE_BUF"})
    found = Result(contest, {"a": series("a", [1.0])}, {"C a": "no compiler"}, STEADY)
    told = report.contest(found)
    assert "pipe: does not take it: over PIPE_BUF" in told
    assert "C a: not measured: no compiler" in told


def test_the_document_has_every_round() -> None:
    """What is judged can be judged again: figures by round, interval, terms, and the entrant."""
    found = json.loads(json.dumps(report.document(result(series("a", [3.0, 1.0, 2.0])))))
    (figure,) = found["figures"]
    assert (found["what"], found["payload"], found["cores"]) == ("throughput", 64, 1)
    assert figure["rounds"] == [3.0, 1.0, 2.0]
    assert (figure["low"], figure["median"], figure["high"]) == (1.0, 2.0, 3.0)


# Goals


def judged(ratio: Sequence[float] | None) -> Judged:
    goal = Goal("pipe", "C pipe", at_least=0.65)
    return Judged(goal, TERMS, None if ratio is None else interval(ratio))


@pytest.mark.parametrize(
    ("ratio", "told", "status"),
    [
        ([0.7, 0.8, 0.9], "met", bench.MET),
        ([0.6, 0.7, 0.8], "met, within the noise", bench.MET),
        ([0.5, 0.6, 0.7], "not met, within the noise", bench.NOT_MET),
        ([0.4, 0.5, 0.6], "not met", bench.NOT_MET),
        (None, "could not be measured", bench.FAILED),
    ],
)
def test_a_goal_is_judged_by_its_median(
    ratio: Sequence[float] | None, told: str, status: int
) -> None:
    """And it is said where the interval lies on both sides of the bound."""
    assert report.goals([judged(ratio)]).splitlines()[1].endswith("  " + told)
    assert bench._status({"channels": []}, {"channels": [judged(ratio)]}) == status


def test_what_failed_is_not_a_success() -> None:
    """An entrant that could not be measured is status 4, whatever the goals say."""
    failed = Result(Contest(TERMS, "", True, []), {}, {"a": "broke"}, STEADY)
    assert bench._status({"channels": [failed]}, {"channels": []}) == bench.FAILED


# Crews


def test_a_crew_works_where_it_is_told() -> None:
    """Each process runs on the cores of its turn, and on others in the next."""
    allowed = sorted(os.sched_getaffinity(0))

    def prepare() -> dict[str, stations.Task]:
        return {"where": lambda n: Turn(0, 0, sum(1 << cpu for cpu in os.sched_getaffinity(0)))}

    with stations.crew([prepare, prepare]) as crew:
        for cpus in ([allowed[:1], allowed[-1:]], [allowed, allowed[:1]]):
            turns, _cpu = crew.turn("where", 1, cpus)
            assert [turn.figure for turn in turns] == [sum(1 << c for c in each) for each in cpus]


def test_a_crew_ends_with_its_block() -> None:
    """No process is left, asleep or in the middle of a turn."""

    def prepare() -> dict[str, stations.Task]:
        return {"pid": lambda n: Turn(0, 0, os.getpid())}

    with stations.crew([prepare, prepare]) as crew:
        turns, _cpu = crew.turn("pid", 1, [[min(os.sched_getaffinity(0))]] * 2)
        pids = [int(turn.figure) for turn in turns]
        assert all(Path(f"/proc/{pid}").exists() for pid in pids)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_one_that_dies_fails_the_crew_though_another_waits_for_it() -> None:
    """The reader of a pipe that waits for ever does not keep anybody from being told."""
    reading, writing = os.pipe()

    def waits(count: int) -> Turn:
        os.read(reading, 1)
        return Turn(0, 0)

    with (
        stations.crew([lambda: {"go": waits}, lambda: {"go": lambda n: os._exit(1)}]) as crew,
        pytest.raises(StationFailed, match="died without a word"),
    ):
        crew.turn("go", 1, [[min(os.sched_getaffinity(0))]] * 2)
    os.close(reading)
    os.close(writing)


def test_a_crew_that_failed_does_nothing_more() -> None:
    """What one of them says late would be taken for its answer to another turn."""
    cpus = [[min(os.sched_getaffinity(0))]] * 2

    def breaks(count: int) -> Turn:
        raise ValueError("it broke")

    works = [lambda: {"go": lambda n: Turn(0, 0)}, lambda: {"go": breaks}]
    with stations.crew(works) as crew:
        for _ in range(2):
            with pytest.raises(StationFailed, match="ValueError: it broke"):
                crew.turn("go", 1, cpus)


def test_what_a_process_raises_is_told() -> None:
    """The error's own words, from the preparation too."""

    def prepare() -> dict[str, stations.Task]:
        raise ValueError("no such end")

    with pytest.raises(StationFailed, match="ValueError: no such end"), stations.crew([prepare]):
        pass


def test_the_time_of_a_thread_that_works_on_is_counted() -> None:
    """A turn's CPU time is taken when all have answered, and of all their threads."""
    cpus = [[min(os.sched_getaffinity(0))]]

    def spin(count: int) -> Turn:
        begun = time.process_time()
        while time.process_time() < begun + 0.02:
            pass
        return Turn(0, 0)

    with stations.crew([lambda: {"spin": spin}]) as crew:
        _turns, cpu = crew.turn("spin", 1, cpus)
    assert cpu >= 0.02


# How a kind waits


@pytest.mark.parametrize("package", [kinds.LOCKS, kinds.CHANNELS])
def test_every_kind_says_whether_it_sleeps(package: str) -> None:
    """Its word for waiting names what it sleeps in, or is one of those that mean a busy wait."""
    for kind in kinds.names(package):
        module = kinds.load(package, kind)
        waiting = module.facts(module.Options()).waiting
        sleeps = "sleeps in" in waiting or "sigtimedwait(2)" in waiting or "sleeps" in waiting
        nobody = "nobody ever waits" in waiting or "mq_notify" in waiting
        assert grid.busy(waiting) != (sleeps or nobody), f"{kind}: {waiting}"


# The picture


def test_the_picture_shows_every_entrant_on_light_and_dark() -> None:
    """An SVG that names them all, with its own colours for a dark page, and C as hollow marks."""
    found = result(
        series("pipe[batch=true]", [50.0, 60.0]), series("C pipe", [100.0, 90.0], side=C),
        series("<odd> & such", [1.0, 2.0], side=INSTEAD), series("spin", [5.0, 6.0], busy=True),
        against={"pipe[batch=true]": {"C": "C pipe"}},
    )  # fmt: skip
    picture = plotting.svg({"channels": [found]})
    drawn = ElementTree.fromstring(picture)
    texts = {node.text for node in drawn.iter(SVG + "text")}
    assert {"pipe[batch=true]", "<odd> & such", "spin (busy)"} <= texts
    assert "prefers-color-scheme: dark" in picture
    titles = [node.text or "" for node in drawn.iter(SVG + "title")]
    assert any(title.startswith("C pipe: 95.0") for title in titles)


# The verb


def bench_command(*words: object) -> list[str]:
    return programs.launcher("bench", *words)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["chanels"], "did you mean 'channels'?"),
        (["channels", "--kinds", "pipe,fiffo"], "did you mean 'fifo'?"),
        (["channels", "--plot", "figures.png"], "name it FILE.svg"),
        (["channels", "--plot", "/no/such/place/figures.svg"], "cannot be written"),
    ],
)
def test_what_is_not_there_is_a_usage_error(words: list[str], told: str) -> None:
    """Before anything is measured: status 2, and the mend."""
    done = subprocess.run(
        bench_command(*words), cwd=programs.ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stdout == ""


def in_session(leader: int) -> list[int]:
    """Return the living processes of a session."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            found.append(int(path.name))
    return found


def objects(runtime: Path) -> list[tuple[str, str | int]]:
    """Return kind and name of what the ledger of the one run there says was made."""
    (directory,) = runtime.iterdir()
    entries = read_ledger(directory).entries
    return [(entry.kind, entry.name) for entry in entries if entry.state == "made"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_bench_leaves_nothing(
    number: signal.Signals, runtime_directory: Path
) -> None:
    """Ctrl-C or a SIGTERM in the middle: status 130 or 143, no object, no file, no process."""
    process = subprocess.Popen(
        bench_command("channels", "--kinds", "sysv_queue,ring,popen,unix_stream"),
        cwd=programs.ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        # The first table stands, so the next contest is under way.
        while not process.stdout.readline().startswith("throughput, 64 B"):
            assert process.poll() is None
        made = objects(runtime_directory)
        assert {"sysv_queue", "sysv_sem", "sysv_shm", "socket"} <= {kind for kind, _name in made}
        process.send_signal(number)
        process.stdout.read()
        assert process.wait() == 128 + number
        assert [each for each in made if existing.find(*each) is not None] == []
        assert list(runtime_directory.iterdir()) == []
        assert in_session(process.pid) == []
    finally:
        process.kill()
        process.communicate()


def test_bench_is_a_verb() -> None:
    """The launcher knows it, and lists it with its sentence."""
    done = subprocess.run(
        [sys.executable, "run.py", "--help"], cwd=programs.ROOT, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert kinds.about(bench) in done.stdout
