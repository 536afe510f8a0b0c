"""What does a lock cost, and how fair is it? Alone, and with up to eight processes that want it.

The lab's own handles, made and attached as in a run, in forked processes that record nothing;
beside them a C program that does the same with bare system calls, and Python's own means.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import statistics
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from benchmarks import programs
from benchmarks.alternatives import locks as instead
from benchmarks.grid import busy, named, sections, stations
from benchmarks.grid.measuring import (
    INSTEAD,
    OURS,
    Asked,
    C,
    Contest,
    Entrant,
    Judged,
    Result,
    Sample,
    Terms,
)
from benchmarks.grid.sections import ACQUIRE, SHARE, TAKE, UPDATE
from benchmarks.measuring import Goal
from benchmarks.subjects import crew
from common import kinds
from common.errors import LabError
from common.kernel.tables import sysv_shm
from common.kernel.waits import Wait

PACKAGE = kinds.LOCKS
NOTE = """\
The processes take turns on one core, or are spread evenly over two and stay there.
take and give: the bare calls, as a trader uses them; `with lock` for Python's own means.
What one process does is timed in parts, and the median of these is its figure; loops included.
locked update: take, add 1 to a double in shared memory, give; by one process.
throughput: such updates by all processes together, until the double has reached a number; the
sum of what they did is that number, or updates were lost and nothing was measured.
fairness: of the same turns, Jain's index over the updates of each process: 1 is even, 1 / processes
is all by one. How long a turn is matters: the kernel lets each process go on for milliseconds.
C: the same with bare, blocking calls. Lock: multiprocessing.Lock. Value: multiprocessing.Value with
its lock. Ratios are of speed, taken within each round: 2 is twice as fast."""

PROCESSES = (1, 2, 4, 8)
FAIRNESS = "fairness"
LOCK, VALUE = "multiprocessing.Lock", "multiprocessing.Value"
ALTERNATIVES = "benchmarks.alternatives.locks"

SEMAPHORE, ROBUST = "posix_sem", "robust_mutex"
TO_VALUE, TO_SEMAPHORE = 3.0, 0.5

# How long a turn of several processes is at least, as a share of the usual one for each process:
# in a shorter one the last of them would hardly get to run.
_LONGER = 0.2
# Seconds that one wait of a handle may last.
_DEADLINE = 10.0
# What C calls the tasks; it has but one way to take and give.
_IN_C = {TAKE: "cost", ACQUIRE: "cost", UPDATE: "update", SHARE: "share"}
# Kinds that are the same in C: one lock of a set is a semaphore.
_SAME_IN_C = {"sysv_semset": "sysv_sem"}


class Form(NamedTuple):
    """A kind with some options."""

    kind: str
    options: Mapping[str, Any]

    @property
    def module(self) -> ModuleType:
        """The kind's module."""
        return kinds.load(kinds.LOCKS, self.kind)

    @property
    def chosen(self) -> Any:
        """The kind's options, the defaults included."""
        return self.module.Options(**self.options)

    @property
    def name(self) -> str:
        """What it is called."""
        return named(self.kind, self.options)


class Turns(NamedTuple):
    """How often each process of several added 1, and wall and CPU time (s)."""

    done: Sequence[float]
    wall: float
    cpu: float


def excluding() -> list[str]:
    """Return the kinds that let one process in at a time."""
    return [kind for kind in kinds.names(PACKAGE) if kinds.load(PACKAGE, kind).EXCLUDES]


def forms(kind: str) -> list[Form]:
    """Return a kind as it is by default, and with each of its choices made otherwise."""
    found = [Form(kind, {})]
    for each in dataclasses.fields(kinds.load(PACKAGE, kind).Options):
        choices = (True, False) if isinstance(each.default, bool) else each.metadata["choices"]
        found += [Form(kind, {each.name: choice}) for choice in choices if choice != each.default]
    return found


def jain(done: Sequence[float]) -> float:
    """Return Jain's index of fairness: 1 when all did the same, 1 / n when one did everything.

    R. Jain, D. Chiu, W. Hawe, DEC Research Report TR-301 (1984).
    """
    return sum(done) ** 2 / (len(done) * sum(each * each for each in done))


def contests(asked: Asked) -> Generator[Contest, None, None]:
    """Yield every contest, by how many processes, and by how many cores."""
    cpus = sorted(os.sched_getaffinity(0))[-2:]
    wanted = asked.wanted(excluding())
    for processes in PROCESSES:
        with _entrants(wanted, processes, asked.effort.seconds) as field:
            if processes == 1:
                for what in (TAKE, ACQUIRE, UPDATE):
                    yield field.contest(what, cpus[-1:])
            for cores in sorted({1, min(processes, len(cpus))}):
                yield field.contest(SHARE, cpus[-cores:])
                if processes > 1:
                    yield field.fairness(cores, asked.effort.rounds)


def goals(results: Sequence[Result]) -> list[Judged]:
    """Judge the semaphore against Python's number with a lock, the robust mutex against it."""
    wanted = {
        UPDATE: Goal(SEMAPHORE, VALUE, at_least=TO_VALUE),
        TAKE: Goal(ROBUST, SEMAPHORE, at_least=TO_SEMAPHORE),
        ACQUIRE: Goal(ROBUST, SEMAPHORE, at_least=TO_SEMAPHORE),
    }
    judged = []
    for result in results:
        goal = wanted.get(result.contest.terms.what)
        names = {entrant.name for entrant in result.contest.entrants}
        if goal is not None and {goal.of, goal.to} <= names:
            ratio = result.ratio(goal.of, str(goal.to))
            judged.append(Judged(goal, result.contest.terms, ratio))
    return judged


@dataclasses.dataclass(frozen=True)
class _Party:
    """An entrant of ours or of Python: its crew, the gate before its turns, and its number."""

    crew: stations.Crew
    gate: sections.Gate
    number: sections.Number
    does: frozenset[str]
    form: Form | None = None


@dataclasses.dataclass
class _Field:
    """Who takes part with so many processes: parties by name, and C programs by theirs."""

    processes: int
    longer: float
    reference: str
    directory: Path
    parties: dict[str, _Party] = dataclasses.field(default_factory=dict)
    # Whom a C program stands beside, by its name.
    programs: dict[str, Form] = dataclasses.field(default_factory=dict)
    against: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)
    missing: dict[str, str] = dataclasses.field(default_factory=dict)
    # The turns of the throughput that was measured last, by the name of the entrant.
    kept: dict[str, list[Turns]] = dataclasses.field(default_factory=dict)

    def contest(self, what: str, cpus: Sequence[int]) -> Contest:
        self.kept = {}
        spread = list(itertools.islice(itertools.cycle(cpus), self.processes))
        more, unit = (True, "updates/s") if what == SHARE else (False, "ns")
        entrants = [
            self._entrant(name, what, self._led(name, what, spread))
            for name, party in self.parties.items()
            if what in party.does
        ]
        entrants += [
            self._entrant(name, what, self._in_c(name, what, spread)) for name in self.programs
        ]
        terms = Terms(what, 0, len(cpus), self.processes)
        return Contest(
            terms, unit, more, entrants, self._against(entrants), missing=dict(self.missing)
        )

    def fairness(self, cores: int, rounds: int) -> Contest:
        """Return the fairness of the throughput that was just measured: the same turns again."""
        kept = {n: turns[-rounds:] for n, turns in self.kept.items() if len(turns) > rounds}
        entrants = []
        for name, turns in kept.items():
            in_c = kept.get(self.against.get(name, {}).get("C", ""))
            note = f"the busiest did {_busiest(turns)}"
            note += f"; C {_median(jain, in_c):.3f}, {_busiest(in_c)}" if in_c else ""
            entrants.append(self._entrant(name, FAIRNESS, _again(turns), note))
        return Contest(Terms(FAIRNESS, 0, cores, self.processes), "Jain's index", True, entrants)

    def _against(self, entrants: Iterable[Entrant]) -> dict[str, dict[str, str]]:
        """Return who of ``entrants`` stands beside whom of them."""
        present = {entrant.name for entrant in entrants}
        return {
            name: {heading: to for heading, to in beside.items() if to in present}
            for name, beside in self.against.items()
            if name in present
        }

    def _entrant(
        self, name: str, what: str, run: Callable[[int], Sample], note: str = ""
    ) -> Entrant:
        in_c = name in self.programs
        form = self.programs[name] if in_c else self.parties[name].form
        longer = self.longer if what == SHARE else 0.0
        if form is None:
            return Entrant(name, name, INSTEAD, run, "sleeps", note=note, settles=longer)
        waiting = form.module.facts(form.chosen).waiting
        side = C if in_c else OURS
        return Entrant(name, form.kind, side, run, waiting, busy(waiting), note, longer)

    def _led(self, name: str, what: str, cpus: Sequence[int]) -> Callable[[int], Sample]:
        party = self.parties[name]

        def run(count: int) -> Sample:
            party.number.value = 0.0
            party.gate.shut(self.processes)
            turns, cpu = party.crew.turn(what, count, [[each] for each in cpus])
            wall = max(turn.ended for turn in turns) - min(turn.begun for turn in turns)
            figures = [turn.figure for turn in turns]
            if what != SHARE:
                if what == UPDATE:
                    check_sum(count, party.number.value, count)
                return Sample(figures[0] * 1e9, wall, cpu)
            check_sum(sum(figures), party.number.value, count)
            return self._shared(name, count, Turns(figures, wall, cpu))

        return run

    def _in_c(self, name: str, what: str, cpus: Sequence[int]) -> Callable[[int], Sample]:
        words = [str(self.directory / "reference"), f"what={_IN_C[what]}"]
        words.append("cpus=" + ",".join(map(str, cpus)))

        def run(count: int) -> Sample:
            found = programs.run([self.reference, self.programs[name].name, str(count), *words])
            wall, cpu = found["seconds"], found["cpu_seconds"]
            if what != SHARE:
                return Sample(found["median_seconds"] * 1e9, wall, cpu)
            return self._shared(name, count, Turns(found["done"], wall, cpu))

        return run

    def _shared(self, name: str, count: int, turns: Turns) -> Sample:
        self.kept.setdefault(name, []).append(
            turns._replace(wall=turns.wall / count, cpu=turns.cpu / count)
        )
        return Sample(count / turns.wall, turns.wall, turns.cpu)


def check_sum(done: float, value: float, count: int) -> None:
    """Hold how often 1 was added against the number it was added to, which was 0.

    Raises ``StationFailed`` when an update was lost.
    """
    if not done == value == count:
        raise stations.StationFailed(
            f"updates were lost: {done:.0f} were made and the number is {value:.0f}, "
            f"where {count} were wanted"
        )


def _again(kept: Sequence[Turns]) -> Callable[[int], Sample]:
    following = itertools.cycle(kept)

    def run(count: int) -> Sample:
        turns = next(following)
        return Sample(jain(turns.done), turns.wall * count, turns.cpu * count)

    return run


def _busiest(kept: Sequence[Turns]) -> str:
    return f"{_median(lambda done: max(done) / sum(done), kept):.0%}"


def _median(figure: Callable[[Sequence[float]], float], kept: Sequence[Turns]) -> float:
    return statistics.median(figure(turns.done) for turns in kept)


@contextlib.contextmanager
def _entrants(wanted: Sequence[str], processes: int, seconds: float) -> Iterator[_Field]:
    reference, in_c, why = _references()
    with contextlib.ExitStack() as stack:
        with stations.undisturbed():
            maker = stack.enter_context(crew.maker())
        longer = _LONGER * processes * seconds if processes > 1 else 0.0
        field = _Field(processes, longer, reference, maker.directory)
        table = sysv_shm.make(sysv_shm.Options(), sysv_shm.PAGE, maker)
        memory = stack.enter_context(contextlib.closing(sysv_shm.attach(table)))
        for form in itertools.chain.from_iterable(forms(kind) for kind in wanted):
            same = Form(_SAME_IN_C.get(form.kind, form.kind), form.options)
            field.against[form.name] = {"Lock": LOCK, "Value": VALUE, "C": f"C {same.name}"}
            if same.name in in_c:
                field.programs[f"C {same.name}"] = same
            elif why:
                field.missing[f"C {same.name}"] = why
            with _or_missing(field, form.name):
                address = form.module.make(form.chosen, maker)
                gate = sections.Gate(maker)
                works = [_lab_work(form, address, table, gate)] * processes
                made = stack.enter_context(stations.crew(works))
                cell = sections.Cell(memory.cells)
                field.parties[form.name] = _Party(made, gate, cell, frozenset(_IN_C), form)
        for kind in kinds.names(ALTERNATIVES):
            module = kinds.load(ALTERNATIVES, kind)
            with _or_missing(field, module.NAME):
                with stations.undisturbed():
                    means = module.make(maker.directory, stack)
                gate = sections.Gate(maker)
                works = [_python_work(means, table, gate)] * processes
                made = stack.enter_context(stations.crew(works, means.pids))
                number = means.number or sections.Cell(memory.cells)
                does = frozenset(_IN_C) if means.lock else frozenset((UPDATE, SHARE))
                field.parties[module.NAME] = _Party(made, gate, number, does)
        yield field


def _lab_work(
    form: Form, address: Mapping[str, Any], table: Mapping[str, Any], gate: sections.Gate
) -> stations.Prepare:
    def prepare() -> Mapping[str, stations.Task]:
        lock = form.module.attach(address, Wait(_DEADLINE), form.name)
        return sections.of_lab(lock, sysv_shm.attach(table).cells, gate)

    return prepare


def _python_work(
    means: instead.Made, table: Mapping[str, Any], gate: sections.Gate
) -> stations.Prepare:
    def prepare() -> Mapping[str, stations.Task]:
        return sections.of_python(means, sysv_shm.attach(table).cells, gate)

    return prepare


@contextlib.contextmanager
def _or_missing(field: _Field, name: str) -> Iterator[None]:
    try:
        yield
    except (LabError, stations.StationFailed) as error:
        field.missing[name] = str(error)


def _references() -> tuple[str, list[str], str]:
    """Return the C program and the kinds that it knows; or why there is none."""
    try:
        program = programs.reference("lock")
    except programs.CannotMeasure as reason:
        return "", [], str(reason)
    return program, programs.run([program, "kinds"])["kinds"], ""
