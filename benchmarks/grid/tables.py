"""What does a cell of a table cost? One process reads it, or writes it.

The lab's own handles, made and attached as in a run; beside them a C program that does the same
with bare loads and stores or system calls, and Python's own means.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

from benchmarks import programs
from benchmarks.alternatives import tables as instead
from benchmarks.grid import sections, stations
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
from benchmarks.subjects import crew
from common import kinds
from common.errors import LabError

PACKAGE = kinds.TABLES
NOTE = """\
One process, held to one core. What is read is what was written, or nothing was measured.
It is timed in parts, and the median of these is its figure; Python's loop is in it.
Files lie in the runtime directory. C: the same; a mapped cell is one load or store there.
Array: multiprocessing.Array with its lock. Ratios are of speed, taken within each round: 2 is twice
as fast."""

READ, WRITE = "read a cell", "write a cell"
ARRAY = "multiprocessing.Array"
ALTERNATIVES = "benchmarks.alternatives.tables"

# Bytes of the lecture's table, of a cell, and which one is used: the second row's stock.
_SIZE, _CELL, _AT = instead.CELLS * 8, 8, 5


def contests(asked: Asked) -> Generator[Contest, None, None]:
    """Yield the two contests: reading and writing."""
    cpu = max(os.sched_getaffinity(0))
    with _entrants(asked.wanted(kinds.names(PACKAGE))) as field:
        for what in (READ, WRITE):
            yield field.contest(what, cpu)


def goals(results: Sequence[Result]) -> list[Judged]:
    """Return none: what a cell costs is told, and not judged."""
    return []


@dataclasses.dataclass
class _Field:
    """Who takes part: crews by the name of the entrant, and C's command by its."""

    crews: dict[str, stations.Crew] = dataclasses.field(default_factory=dict)
    programs: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    # What an access is, by the names of ours.
    ours: dict[str, str] = dataclasses.field(default_factory=dict)
    missing: dict[str, str] = dataclasses.field(default_factory=dict)

    def contest(self, what: str, cpu: int) -> Contest:
        entrants = []
        for name, made in self.crews.items():
            run = stations.led(made, what, [[cpu]], _nanoseconds)
            side = OURS if name in self.ours else INSTEAD
            entrants.append(Entrant(name, name, side, run, self.ours.get(name, "")))
        for name, (reference, kind, path) in self.programs.items():
            entrants.append(Entrant(name, kind, C, _in_c(reference, kind, path, what, cpu)))
        against = {name: {"Array": ARRAY, "C": f"C {name}"} for name in self.ours}
        terms = Terms(what, _CELL, 1, 1)
        return Contest(terms, "ns", False, entrants, against, missing=dict(self.missing))


@contextlib.contextmanager
def _entrants(wanted: Sequence[str]) -> Iterator[_Field]:
    reference, in_c, why = _references()
    field = _Field()
    with contextlib.ExitStack() as stack:
        with stations.undisturbed():
            maker = stack.enter_context(crew.maker())
        for kind in wanted:
            module = kinds.load(PACKAGE, kind)
            if kind in in_c:
                path = str(maker.directory / "reference")
                field.programs[f"C {kind}"] = [reference, kind, path]
            elif why:
                field.missing[f"C {kind}"] = why
            with _or_missing(field, kind):
                options = _options(module, kind)
                address = module.make(options, _SIZE, maker)
                work = _lab_work(module, address)
                field.crews[kind] = stack.enter_context(stations.crew([work]))
                field.ours[kind] = f"never: {module.facts(options).access}"
        for kind in kinds.names(ALTERNATIVES):
            module = kinds.load(ALTERNATIVES, kind)
            with _or_missing(field, module.NAME):
                with stations.undisturbed():
                    means = module.make(maker.directory, stack)
                made = stations.crew([_python_work(means)], means.pids)
                field.crews[module.NAME] = stack.enter_context(made)
        yield field


def _options(module: ModuleType, kind: str) -> Any:
    """Return a kind's options: those that are files may not be one and the same."""
    names = {each.name for each in dataclasses.fields(module.Options)}
    return module.Options(**({"path": f"{kind}.dat"} if "path" in names else {}))


def _lab_work(module: ModuleType, address: Mapping[str, Any]) -> stations.Prepare:
    def prepare() -> Mapping[str, stations.Task]:
        memory = module.attach(address)
        return of_cells(memory.cells)

    return prepare


def _python_work(means: instead.Made) -> stations.Prepare:
    return lambda: of_cells(means.cells) if means.number is None else of_number(means.number)


def of_cells(cells: Any) -> dict[str, stations.Task]:
    """Return the tasks on a cell that is found by its number."""

    def read(count: int) -> float:
        value = 0.0
        for _ in itertools.repeat(None, count):
            value = cells[_AT]
        return value

    def write(count: int, value: float) -> None:
        for _ in itertools.repeat(None, count):
            cells[_AT] = value

    return watched(read, write)


def of_number(number: Any) -> dict[str, stations.Task]:
    """Return the tasks on a number of its own."""

    def read(count: int) -> float:
        value = 0.0
        for _ in itertools.repeat(None, count):
            value = number.value
        return value

    def write(count: int, value: float) -> None:
        for _ in itertools.repeat(None, count):
            number.value = value

    return watched(read, write)


def watched(
    read: Callable[[int], float], write: Callable[[int, float], None]
) -> dict[str, stations.Task]:
    """Return both as tasks that fail when something else is found than what was written last."""
    written = 1.0
    write(1, written)

    def look(count: int) -> None:
        found = read(count)
        if found != written:
            raise AssertionError(f"{found} was read where {written} was written")

    def store(count: int) -> None:
        nonlocal written
        written += 1
        write(count, written)
        look(1)

    return {READ: sections.task(look), WRITE: sections.task(store)}


def _nanoseconds(count: int, turns: list[stations.Turn]) -> float:
    return turns[0].figure * 1e9


def _in_c(reference: str, kind: str, path: str, what: str, cpu: int) -> Callable[[int], Sample]:
    words = [path, f"what={what.split()[0]}", f"cpus={cpu}"]

    def run(count: int) -> Sample:
        found = programs.run([reference, kind, str(count), *words])
        return Sample(found["median_seconds"] * 1e9, found["seconds"], found["cpu_seconds"])

    return run


@contextlib.contextmanager
def _or_missing(field: _Field, name: str) -> Iterator[None]:
    try:
        yield
    except (LabError, stations.StationFailed) as error:
        field.missing[name] = str(error)


def _references() -> tuple[str, list[str], str]:
    """Return the C program and the kinds that it knows; or why there is none."""
    try:
        program = programs.reference("table")
    except programs.CannotMeasure as reason:
        return "", [], str(reason)
    return program, programs.run([program, "kinds"])["kinds"], ""
