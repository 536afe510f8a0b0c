"""How fast are the channels? One sender and one receiver, or messages sent there and back.

The lab's own handles, made and attached as in a run, in forked processes that record nothing;
beside them a C program that does the same with bare system calls, and Python's own means.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from benchmarks import programs
from benchmarks.alternatives.channels import Line
from benchmarks.grid import busy, named, stations, traffic
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
from benchmarks.grid.traffic import ROUND_TRIP, THROUGHPUT
from benchmarks.measuring import Goal
from benchmarks.subjects import crew
from common import kinds
from common.errors import LabError
from common.kernel.objects import Maker
from common.kernel.waits import Wait

PACKAGE = kinds.CHANNELS
NOTE = """\
One process sends, one receives, each pinned to its core; everything is checked while warming up.
throughput: from the first send to the end of the last receive.
round trip: the median of the single trips, there on one channel and back on another of its kind.
Channels in shared memory are guarded by a posix_sem; one sender and one receiver need no lock.
A channel that loses what does not fit is sent in windows, each awaited: udp, in C too.
C: the same with bare, blocking system calls, one message each; read-ahead (batch) is ours alone.
Queue: multiprocessing.Queue. Ratios are of speed, taken within each round: 2 is twice as fast."""

SIZES = (64, 1024, 8192, 65536)
QUEUE = "multiprocessing.Queue"
ALTERNATIVES = "benchmarks.alternatives.channels"

# What makes a kind faster, where it has such an option; with the last it waits in its sleep.
FASTER = {"batch": True, "semaphores": "posix", "slots": 64, "waiting": "timed"}
ASLEEP = {"sync": "semaphores"}
GUARD = "posix_sem"
# The name under which a channel's lock is called in a form.
LOCK = "lock"

# Sizes, at which the goals are set, on one core.
JUDGED = (64, 1024)
TO_C, TO_QUEUE, TO_KERNEL = 0.65, 3.0, 2.0
RING = "ring"

# Seconds that one wait of a handle may last.
_DEADLINE = 10.0


class Form(NamedTuple):
    """A kind with some options, and what guards it."""

    kind: str
    options: Mapping[str, Any]
    lock: str

    @property
    def module(self) -> ModuleType:
        """The kind's module."""
        return kinds.load(kinds.CHANNELS, self.kind)

    @property
    def chosen(self) -> Any:
        """The kind's options, the defaults included."""
        return self.module.Options(**self.options)

    @property
    def name(self) -> str:
        """What it is called."""
        unguarded = {LOCK: "none"} if self.lock == "none" else {}
        return named(self.kind, {**self.options, **unguarded})

    @property
    def torn(self) -> bool:
        """Whether its two processes are in it at once, so that messages may be torn."""
        guarded = getattr(self.module, "guarded", None)
        return guarded is not None and not guarded(self.chosen)

    @property
    def lossy(self) -> bool:
        """Whether what does not fit is lost."""
        return not self.module.facts(self.chosen).bounded


def forms(kind: str) -> list[Form]:
    """Return a kind as it is by default, and as fast as its contract allows for two processes."""
    module = kinds.load(kinds.CHANNELS, kind)
    defaults = {each.name: each.default for each in dataclasses.fields(module.Options)}
    found = [Form(kind, {}, GUARD)]
    for choice in (FASTER, ASLEEP):
        options = {name: value for name, value in choice.items() if name in defaults}
        if any(defaults[name] != value for name, value in options.items()):
            found.append(Form(kind, {n: v for n, v in options.items() if defaults[n] != v}, GUARD))
    if getattr(module, "GUARDED", True) and not hasattr(module, "guarded"):
        found.append(Form(kind, found[-1].options, "none"))
    return found


def is_kernel(kind: str) -> bool:
    """Return whether the kernel carries the messages of a kind."""
    return not getattr(kinds.load(kinds.CHANNELS, kind), "GUARDED", True)


def contests(asked: Asked) -> Generator[Contest, None, None]:
    """Yield every contest, by size, by how many cores, and by what is measured."""
    cpus = sorted(os.sched_getaffinity(0))[-2:]
    for size in SIZES:
        with _entrants(asked.wanted(kinds.names(kinds.CHANNELS)), size) as field:
            for pinned in ([cpus[-1:]] * 2, [cpus[:1], cpus[1:]])[: len(cpus)]:
                for what in (THROUGHPUT, ROUND_TRIP):
                    yield field.contest(what, pinned)


def goals(results: Sequence[Result]) -> list[Judged]:
    """Judge every kernel channel against C and Python, and the ring against the fastest of them."""
    judged: list[Judged] = []
    for result in results:
        terms = result.contest.terms
        if terms.what != THROUGHPUT or terms.cores != 1 or terms.payload not in JUDGED:
            continue
        kernel = []
        for entrant in result.contest.entrants:
            if entrant.side != OURS or not is_kernel(entrant.kind):
                continue
            kernel.append(entrant.name)
            for to, bound in ((f"C {entrant.kind}", TO_C), (QUEUE, TO_QUEUE)):
                goal = Goal(entrant.name, to, at_least=bound)
                judged.append(Judged(goal, terms, result.ratio(entrant.name, to)))
        rings = [e.name for e in result.contest.entrants if (e.kind, e.side) == (RING, OURS)]
        if rings and kernel:
            ring, best = _best(result, rings), _best(result, kernel)
            goal = Goal(ring, best, at_least=TO_KERNEL)
            judged.append(Judged(goal, terms, result.ratio(ring, best)))
    return judged


def _best(result: Result, names: Sequence[str]) -> str:
    """Return the fastest of ``names``; the first where none was measured."""
    found = [name for name in names if name in result.series]
    return max(found, key=lambda name: result.series[name].interval.median, default=names[0])


@dataclasses.dataclass
class _Field:
    """Who takes part with messages of one size: crews by name, and C programs by theirs."""

    size: int
    reference: str
    directory: Path
    crews: dict[str, stations.Crew] = dataclasses.field(default_factory=dict)
    forms: dict[str, Form] = dataclasses.field(default_factory=dict)
    # What a C program is told beside what it measures, by the name of the entrant.
    programs: dict[str, tuple[str, list[str]]] = dataclasses.field(default_factory=dict)
    # How long a turn of one must be, where a short one would show a beginning (s).
    settling: dict[str, float] = dataclasses.field(default_factory=dict)
    against: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)
    refused: dict[str, str] = dataclasses.field(default_factory=dict)
    missing: dict[str, str] = dataclasses.field(default_factory=dict)

    def contest(self, what: str, cpus: Sequence[Sequence[int]]) -> Contest:
        cores = len({cpu for each in cpus for cpu in each})
        unit, more = ("messages/s", True) if what == THROUGHPUT else ("µs", False)
        entrants = [self._led(name, what, cpus) for name in self.crews]
        entrants += [self._in_c(name, what, cpus) for name in self.programs]
        terms = Terms(what, self.size, cores, 2)
        return Contest(
            terms, unit, more, entrants, dict(self.against), dict(self.refused), dict(self.missing)
        )

    def _led(self, name: str, what: str, cpus: Sequence[Sequence[int]]) -> Entrant:
        figure = _per_second if what == THROUGHPUT else _microseconds
        run = stations.led(self.crews[name], what, cpus, figure)
        form = self.forms.get(name)
        if form is None:
            settles = self.settling.get(name, 0.0) if what == THROUGHPUT else 0.0
            return Entrant(name, name, INSTEAD, run, "sleeps", settles=settles)
        waiting = form.module.facts(form.chosen).waiting
        windows = (
            f"windows of {traffic.window(self.size)}" if form.lossy and what == THROUGHPUT else ""
        )
        note = "may tear messages: nothing guards it" if form.torn else windows
        return Entrant(name, form.kind, OURS, run, waiting, busy(waiting), note)

    def _in_c(self, name: str, what: str, cpus: Sequence[Sequence[int]]) -> Entrant:
        kind, words = self.programs[name]
        (sender,), (receiver,) = cpus

        def run(count: int) -> Sample:
            found = programs.run(
                [
                    self.reference, kind, str(count), str(self.directory / "reference"), *words,
                    f"what={what.replace(' ', '_')}", f"cpus={sender},{receiver}",
                ]
            )  # fmt: skip
            figure = found["per_second"] if what == THROUGHPUT else found["median_seconds"] * 1e6
            return Sample(figure, found["seconds"], found["cpu_seconds"])

        return Entrant(name, kind, C, run, "sleeps")


@contextlib.contextmanager
def _entrants(wanted: Sequence[str], size: int) -> Iterator[_Field]:
    reference, in_c, why = _references()
    with contextlib.ExitStack() as stack:
        with stations.undisturbed():
            maker = stack.enter_context(crew.maker())
        field = _Field(size, reference, maker.directory)
        chosen = [form for kind in wanted for form in forms(kind)]
        for form in chosen:
            problem = form.module.check(form.chosen, size)
            if problem:
                field.refused[form.name] = problem
                continue
            field.forms[form.name] = form
            field.against[form.name] = {"Queue": QUEUE}
            _add(field, form.name, _lab_lines(form, size, maker), stack, form)
            maker.let_go()
            if form.kind in in_c:
                field.against[form.name]["C"] = _add_program(field, form)
            elif why and (is_kernel(form.kind) or form.kind == RING):
                field.missing[f"C {form.kind}"] = why
        for kind in kinds.names(ALTERNATIVES):
            module = kinds.load(ALTERNATIVES, kind)
            lines = (module.line(maker.directory, stack) for _ in range(2))
            field.settling[module.NAME] = module.SETTLES
            _add(field, module.NAME, lines, stack)
        yield field


def _references() -> tuple[str, list[str], str]:
    """Return the C program and the kinds that it knows; or why there is none."""
    try:
        program = programs.reference("channel")
    except programs.CannotMeasure as reason:
        return "", [], str(reason)
    return program, programs.run([program, "kinds"])["kinds"], ""


def _add_program(field: _Field, form: Form) -> str:
    words = [f"size={field.size}", f"window={traffic.window(field.size) if form.lossy else 0}"]
    asked = {"slots": form.options["slots"]} if "slots" in form.options else {}
    words += [f"{name}={value}" for name, value in asked.items()]
    name = f"C {named(form.kind, asked)}"
    field.programs[name] = form.kind, words
    return name


def _add(
    field: _Field,
    name: str,
    lines: Iterator[Line],
    stack: contextlib.ExitStack,
    form: Form | None = None,
) -> None:
    """Make the lines of an entrant and fork its two processes; who cannot be is missing."""
    awaited = traffic.window(field.size) if form is not None and form.lossy else 0
    try:
        with stations.undisturbed():
            there, back = lines
        works = traffic.works(there, back, field.size, awaited, form is not None and form.torn)
        made = stack.enter_context(stations.crew(works, there.pids + back.pids))
        made.turn(traffic.CHECKED, traffic.DIFFERENT * 4, [sorted(os.sched_getaffinity(0))] * 2)
    except (LabError, stations.StationFailed) as error:
        field.missing[name] = str(error)
    else:
        field.crews[name] = made


def _lab_lines(form: Form, size: int, maker: Maker) -> Iterator[Line]:
    module = form.module
    for _ in range(2):
        locks = kinds.load(kinds.LOCKS, form.lock)
        lock = {"kind": form.lock, "at": locks.make(locks.Options(), maker)}
        yield _lab_line(module, module.make(form.chosen, size, lock, maker))


def _lab_line(module: ModuleType, address: Mapping[str, Any]) -> Line:
    def attach(mode: str) -> Any:
        return module.attach(address, mode, Wait(_DEADLINE), "the channel", None)

    # An address with a pid has a process that stands between.
    pids = (address["pid"],) if "pid" in address else ()
    return Line(lambda: attach("send").send, lambda: attach("receive").receive, pids)


def _per_second(count: int, turns: list[stations.Turn]) -> float:
    sender, receiver = turns
    return count / (receiver.ended - sender.begun)


def _microseconds(count: int, turns: list[stations.Turn]) -> float:
    return turns[0].figure * 1e6
