"""What `run.py bench` measures of locks and tables is what it says, and nothing outlives it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import programs
from benchmarks.grid import locks, sections, stations, tables
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
    Unlike,
    measure,
)
from benchmarks.measuring import Spread
from benchmarks.subjects import crew
from common import kinds
from common.kernel import existing
from common.kernel.ledger import read_ledger
from tests.conftest import PATIENCE
from tests.opened import ended

pytestmark = pytest.mark.usefixtures("kernel_clean")

SHORT = Effort(rounds=1, seconds=0.001)
# Enough for a few turns of everybody.
SOME = 64


@pytest.fixture
def runtime() -> Iterator[Path]:
    # Short, as the managers' sockets are in it.
    path = Path(tempfile.mkdtemp(prefix="bench-"))
    yield path
    shutil.rmtree(path)


def asked(*names: str) -> Asked:
    return Asked(SHORT, names)


def in_python(contest: Contest) -> list[Entrant]:
    return [entrant for entrant in contest.entrants if entrant.side != C]


def test_every_lock_takes_part_with_each_of_its_choices() -> None:
    """A kind that excludes is measured by being there, and so is every choice that it offers."""
    with contextlib.closing(locks.contests(asked())) as contests:
        first = next(contests)
    names = {entrant.name for entrant in first.entrants if entrant.side == OURS}
    assert {entrant.kind for entrant in first.entrants if entrant.side == OURS} == {
        kind for kind in kinds.names(kinds.LOCKS) if kinds.load(kinds.LOCKS, kind).EXCLUDES
    }
    assert {"sysv_sem", "sysv_sem[undo=false]", "rwlock[prefer=writers]"} <= names
    assert first.missing.keys() <= {f"C {name}" for name in names}


def test_everybody_does_what_was_asked_alone_and_together() -> None:
    """All entrants of every contest do so many operations, and none of their updates is lost."""
    seen = set()
    with contextlib.closing(locks.contests(asked())) as contests:
        for contest in contests:
            seen.add((contest.terms.what, contest.terms.cores, contest.terms.processes))
            for entrant in contest.entrants:
                sample = entrant.run(SOME)
                assert sample.figure > 0, entrant.name
                assert sample.cpu > 0, entrant.name
    cores = min(2, len(os.sched_getaffinity(0)))
    alone = {(what, 1, 1) for what in ("take and give", "acquire and release", "locked update")}
    together = {("throughput", each, n) for n in (2, 4, 8) for each in {1, cores}}
    assert seen - {key for key in seen if key[0] == "fairness"} == (
        alone | together | {("throughput", 1, 1)}
    )


@pytest.mark.parametrize("family", [locks, tables])
def test_python_is_there_with_its_own_means(family: Any) -> None:
    """What a Python user would take instead stands beside the lab's kinds."""
    expected = {
        locks: {"Lock", "RLock", "Value", "Manager().Lock"},
        tables: {"Value", "Array", "Manager().list", "Manager().dict", "shared_memory"},
    }
    found: set[str] = set()
    with contextlib.closing(family.contests(asked("posix_sem", "sysv_shm"))) as contests:
        for contest in contests:
            found |= {each.name for each in contest.entrants if each.side == INSTEAD}
            if contest.terms.what in ("locked update", tables.WRITE):
                break
    assert found == {f"multiprocessing.{name}" for name in expected[family]}


def test_an_update_that_is_lost_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes read the number before either writes it: nothing is measured, and it is said.

    The meeting inside forces what a lock prevents.
    """
    with crew.maker() as maker:
        meeting = sections.Gate(maker)
        meeting.shut(2)

        def careless(*words: object) -> int:
            cells = words[4]
            assert isinstance(cells, memoryview)
            value = cells[0]
            meeting.go_through()
            cells[0] = value + 1.0
            return 1

        monkeypatch.setattr(sections, "_quick_share", careless)
        monkeypatch.setattr(locks, "PROCESSES", (2,))
        with contextlib.closing(locks.contests(asked("posix_sem"))) as contests:
            result = measure(next(contests), SHORT)
    assert "updates were lost: 2 were made and the number is 1" in result.failed["posix_sem"]
    assert "posix_sem" not in result.series


def test_the_sum_must_be_what_was_done_and_what_was_wanted() -> None:
    """Neither a lost update nor one too many nor work left over passes."""
    locks.check_sum(10, 10.0, 10)
    for done, value in ((11, 10.0), (10, 9.0), (9, 9.0), (11, 11.0)):
        with pytest.raises(stations.StationFailed, match="updates were lost"):
            locks.check_sum(done, value, 10)


@pytest.mark.parametrize(
    ("done", "index"), [([5, 5, 5, 5], 1.0), ([20, 0, 0, 0], 0.25), ([3, 1], 0.8)]
)
def test_jains_index_is_one_when_even_and_one_nth_when_one_has_all(
    done: list[float], index: float
) -> None:
    """(3 + 1) squared over 2 times (9 + 1) is 0.8."""
    assert locks.jain(done) == pytest.approx(index)


def test_fairness_is_that_of_the_turns_that_were_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A process that does three times as much as the other one shows, in index and share."""

    def unevenly(*words: object) -> int:
        cells, target = words[4:]
        assert isinstance(cells, memoryview)
        assert isinstance(target, int)
        # Whoever comes first has three quarters; all is done under the lock.
        take, _busy, stand, give = words[:4]
        assert callable(take)
        assert callable(stand)
        assert callable(give)
        try:
            take()
        except Exception:
            stand()
        mine = target - target // 4 if cells[0] == 0 else target // 4
        cells[0] += mine
        give()
        return mine

    monkeypatch.setattr(sections, "_quick_share", unevenly)
    monkeypatch.setattr(locks, "PROCESSES", (2,))
    # A count that divides by four, whatever the turns take.
    with contextlib.closing(locks.contests(asked("posix_sem"))) as contests:
        contest = next(contests)
        (entrant,) = [each for each in contest.entrants if each.name == "posix_sem"]
        for _ in range(SHORT.rounds + 1):
            entrant.run(SOME)
        fairness = next(contests)
    (entrant,) = fairness.entrants
    assert (fairness.terms.what, entrant.name) == ("fairness", "posix_sem")
    assert entrant.run(SOME).figure == pytest.approx(0.8)
    assert "75%" in entrant.note


def test_who_spins_is_never_ranked_or_compared_with_who_sleeps() -> None:
    """The spinlock is busy by its own word, alone among the locks; a ratio is refused."""
    with contextlib.closing(locks.contests(asked("posix_sem", "spinlock"))) as contests:
        result = measure(next(contests), SHORT)
    busy = {entrant.name for entrant in result.contest.entrants if entrant.busy}
    assert {name.removeprefix("C ") for name in busy} == {"spinlock"}
    sleeping = [each.entrant.name for each in result.ranking(busy=False)]
    assert "posix_sem" in sleeping
    assert "spinlock" not in sleeping
    with pytest.raises(Unlike, match="waits busily"):
        result.ratio("posix_sem", "spinlock")


def measured(what: str, **nanoseconds: float) -> Result:
    terms = Terms(what, 0, 1, 1)
    names = {name.replace("_Value", ".Value"): each for name, each in nanoseconds.items()}
    entrants = [Entrant(n, n, INSTEAD if "." in n else OURS, never) for n in names]
    series = {
        each.name: Series(each, terms, False, [names[each.name]] * 5, 0, 0) for each in entrants
    }
    return Result(Contest(terms, "ns", False, entrants), series, {}, Spread(1, 1, 1))


def never(_count: int) -> Sample:
    raise AssertionError


@pytest.mark.parametrize(
    ("what", "costs", "met"),
    [
        ("take and give", {"posix_sem": 100.0, "robust_mutex": 200.0}, [True]),
        ("take and give", {"posix_sem": 100.0, "robust_mutex": 201.0}, [False]),
        ("acquire and release", {"posix_sem": 100.0, "robust_mutex": 201.0}, [False]),
        ("locked update", {"posix_sem": 100.0, "multiprocessing_Value": 300.0}, [True]),
        ("locked update", {"posix_sem": 100.0, "multiprocessing_Value": 299.0}, [False]),
        ("locked update", {"multiprocessing_Value": 299.0}, []),
        ("throughput", {"posix_sem": 100.0, "robust_mutex": 900.0}, []),
    ],
)
def test_the_goals_are_judged_where_both_sides_were_measured(
    what: str, costs: dict[str, float], met: list[bool]
) -> None:
    """A robust mutex may cost twice a semaphore; a number with a lock of Python's, three of it."""
    assert [each.met for each in locks.goals([measured(what, **costs)])] == met


@pytest.mark.parametrize(
    ("program", "known"),
    [
        ("lock", lambda: [f.name for k in locks.excluding() for f in locks.forms(k)]),
        ("table", lambda: list(kinds.names(kinds.TABLES))),
    ],
)
@pytest.mark.skipif(bool(programs.no_compiler()), reason="no C compiler here")
def test_c_knows_the_kinds_by_the_labs_names(program: str, known: Callable[[], list[str]]) -> None:
    """What C can measure stands beside a kind of that name: none is left over."""
    reference = programs.reference(program)
    found = programs.run([reference, "kinds"])["kinds"]
    assert found
    assert set(found) <= set(known())


@pytest.mark.parametrize(("program", "task"), [("lock", "cost"), ("table", "read")])
@pytest.mark.skipif(bool(programs.no_compiler()), reason="no C compiler here")
def test_c_refuses_what_it_does_not_understand(program: str, task: str, runtime: Path) -> None:
    """A word that is no kind, number, task or processor is a usage error, not a measurement."""
    reference = programs.reference(program)
    kind = programs.run([reference, "kinds"])["kinds"][0]
    understood = [kind, "1", str(runtime / "x"), f"what={task}", "cpus=0"]
    for at, word in ((0, "none"), (1, "0"), (3, "what="), (4, "cpus=x")):
        words = [*understood[:at], word, *understood[at + 1 :]]
        done = subprocess.run([reference, *words], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr[:6]) == (2, "usage:"), words


def test_every_table_takes_part_and_reads_what_was_written() -> None:
    """All tables and Python's means do so many reads and writes of a cell."""
    seen = []
    with contextlib.closing(tables.contests(asked())) as contests:
        for contest in contests:
            seen.append(contest.terms.what)
            ours = {entrant.name for entrant in contest.entrants if entrant.side == OURS}
            assert ours == set(kinds.names(kinds.TABLES))
            for entrant in contest.entrants:
                assert entrant.run(SOME).figure > 0, entrant.name
    assert seen == ["read a cell", "write a cell"]


def test_a_cell_that_holds_something_else_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a store does not arrive, the read after it is noticed, and nothing is measured."""

    def deaf(cells: object) -> dict[str, stations.Task]:
        return tables.watched(lambda _count: 0.0, lambda _count, _value: None)

    monkeypatch.setattr(tables, "of_cells", deaf)
    with contextlib.closing(tables.contests(asked("sysv_shm"))) as contests:
        result = measure(next(contests), SHORT)
    assert "0.0 was read where 1.0 was written" in result.failed["sysv_shm"]


def test_who_is_held_up_in_one_part_is_not_slow() -> None:
    """The figure is the median of the parts: the one that took long does not show."""
    sizes = []

    def loop(count: int) -> None:
        sizes.append(count)
        until = time.monotonic() + (0.05 if len(sizes) == 1 else 0)
        while time.monotonic() < until:
            pass

    turn = sections.task(loop)(1000)
    assert sum(sizes) == 1000
    assert len(sizes) == sections.PARTS
    assert turn.figure < (turn.ended - turn.begun) / 1000


def of_session(leader: int) -> list[int]:
    """Return the processes that are in the session of ``leader`` and are not dead."""
    found = []
    for entry in Path("/proc").iterdir():
        # A process may end meanwhile.
        with contextlib.suppress(OSError):
            if entry.name.isdigit():
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == leader and fields[0] != "Z":
                    found.append(int(entry.name))
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("family", ["locks", "tables"])
def test_an_interruption_leaves_nothing(family: str, number: signal.Signals, runtime: Path) -> None:
    """Its processes, managers and objects are gone, and the exit status says by what."""
    process = subprocess.Popen(
        programs.launcher("bench", family, "--quick"),
        cwd=programs.ROOT, env={**os.environ, "XDG_RUNTIME_DIR": str(runtime)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + PATIENCE
        # Among the last that are made before anything is measured is a manager's.
        while not (found := list(runtime.glob("lab-*/files/manager-*"))):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        made = [entry for entry in read_ledger(found[0].parents[1]).entries if entry.id is not None]
        # Ctrl-C comes to the whole group.
        os.killpg(process.pid, number)
        assert process.wait(PATIENCE) == 128 + number
    finally:
        process.kill()
        process.wait()
    assert made
    assert [entry for entry in made if existing.find(entry.kind, entry.name, entry.id)] == []
    assert all(ended(pid, PATIENCE) for pid in of_session(process.pid))
    assert list(runtime.iterdir()) == []
