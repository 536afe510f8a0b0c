"""Forked processes that wait for the word: each does so many operations, and answers how it went.

They stay between their turns, with handles open and memory touched, asleep at a pipe; so a turn
costs no start, and entrants can take turns in any order. They end with the block that made them,
and with this process, whatever ends it.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from benchmarks.grid.measuring import Sample
from benchmarks.programs import ProgramFailed
from common.kernel import libc

# Seconds that one turn may take: the handles' own deadlines are shorter, and tell what failed.
PATIENCE = 30.0


class Turn(NamedTuple):
    """When a process began and ended its operations (s, CLOCK_MONOTONIC), and a figure of its own.

    The figure may be 0 where begin and end are all there is to tell.
    """

    begun: float
    ended: float
    figure: float = 0.0


# What a process can do: so many operations.
Task = Callable[[int], Turn]
# What it does first, in the process itself: open its handles; returns its tasks by name.
Prepare = Callable[[], Mapping[str, Task]]


class StationFailed(ProgramFailed):
    """A process of a crew failed or died; its message says what it said."""


class Crew:
    """Processes that take turns together; ``pids`` are others whose CPU time is theirs too."""

    def __init__(self, pids: Sequence[int] = ()) -> None:
        self.others = tuple(pids)
        self._members: list[_Member] = []
        self._broken = ""

    def add(self, prepare: Prepare) -> None:
        """Fork a process that opens its handles and waits."""
        with undisturbed():
            self._members.append(_Member(prepare))

    def ready(self) -> None:
        """Wait until every process has opened its handles. Raises ``StationFailed``."""
        self._answers()

    def turn(
        self, task: str, count: int, cpus: Sequence[Sequence[int]]
    ) -> tuple[list[Turn], float]:
        """Have each process do ``task`` on its own of ``cpus``; returns the turns and the CPU time.

        The CPU time (s) is of all, the others included. Raises ``StationFailed``; a crew that has
        failed once does nothing any more.
        """
        if self._broken:
            raise StationFailed(self._broken)
        for pid in self.others:
            _pin(pid, sorted({cpu for each in cpus for cpu in each}))
        pids = [member.pid for member in self._members] + list(self.others)
        # From here, and until all have answered: a thread may work on when its process has.
        before = sum(map(_cpu_time, pids))
        for member, allowed in zip(self._members, cpus, strict=True):
            member.say({"task": task, "count": count, "cpus": list(allowed)})
        turns = [Turn(*answer["turn"]) for answer in self._answers()]
        return turns, sum(map(_cpu_time, pids)) - before

    def end(self) -> None:
        """Kill the processes and reap them."""
        for member in self._members:
            member.kill()
        while self._members:
            self._members.pop().reap()

    def _answers(self) -> list[dict[str, Any]]:
        """Return what each process says, in order. Whoever is silent for too long has failed."""
        answers: dict[_Member, dict[str, Any]] = {}
        poll = select.poll()
        awaited = {member.number: member for member in self._members}
        for number in awaited:
            poll.register(number, select.POLLIN)
        try:
            while awaited:
                heard = poll.poll(PATIENCE * 1000)
                if not heard:
                    raise StationFailed(f"no word within {PATIENCE:g} s from a measured process")
                for number, _events in heard:
                    member = awaited.pop(number)
                    poll.unregister(number)
                    answers[member] = member.answer()
        except StationFailed as error:
            self._broken = str(error)
            raise
        return [answers[member] for member in self._members]


@contextlib.contextmanager
def crew(works: Sequence[Prepare], pids: Sequence[int] = ()) -> Iterator[Crew]:
    """Yield a crew of a process for each of ``works``, all ready. Raises ``StationFailed``."""
    made = Crew(pids)
    try:
        for work in works:
            made.add(work)
        made.ready()
        yield made
    finally:
        made.end()


def led(
    made: Crew, task: str, cpus: Sequence[Sequence[int]], figure: Callable[[int, list[Turn]], float]
) -> Callable[[int], Sample]:
    """Return what does so many operations with a crew; ``figure`` is what came of the turns.

    The wall time is from the first begin to the last end.
    """

    def run(count: int) -> Sample:
        turns, cpu = made.turn(task, count, cpus)
        wall = max(turn.ended for turn in turns) - min(turn.begun for turn in turns)
        return Sample(figure(count, turns), wall, cpu)

    return run


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Hold SIGINT and SIGTERM back: what is begun inside is also known when it is cleaned up."""
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


class _Member:
    """One process, told what to do and heard by two pipes."""

    def __init__(self, prepare: Prepare) -> None:
        commands, tell = os.pipe2(os.O_CLOEXEC)
        hear, answers = os.pipe2(os.O_CLOEXEC)
        launcher = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            # The ends of the launcher, so that each side is told when the other has gone.
            os.close(tell)
            os.close(hear)
            _live(launcher, prepare, commands, answers)
        os.close(commands)
        os.close(answers)
        self._tell = os.fdopen(tell, "wb", buffering=0)
        self._hear = os.fdopen(hear, "rb")
        self.number = hear

    def say(self, command: Mapping[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):  # that it has ended is seen at the answer
            self._tell.write(json.dumps(command).encode() + b"\n")

    def answer(self) -> dict[str, Any]:
        line = self._hear.readline()
        if not line:
            raise StationFailed("a process that was measured died without a word")
        found: dict[str, Any] = json.loads(line)
        if "error" in found:
            raise StationFailed(found["error"])
        return found

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self._tell.close()
        self._hear.close()

    def reap(self) -> None:
        os.waitpid(self.pid, 0)


def _live(launcher: int, prepare: Prepare, commands: int, answers: int) -> NoReturn:
    def answer(**said: Any) -> None:
        os.write(answers, json.dumps(said).encode() + b"\n")

    try:
        libc.prctl_die_with_parent(signal.SIGKILL, launcher)
        # Ctrl-C comes to the whole group of the terminal: the launcher ends us, and in order.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            _serve(prepare, commands, answer)
        except Exception as error:
            answer(error=f"{type(error).__name__}: {error}")
    finally:
        os._exit(0)


def _serve(prepare: Prepare, commands: int, answer: Callable[..., None]) -> None:
    tasks = prepare()
    # What was there before the fork is nobody's garbage; looking at it would copy its pages.
    gc.freeze()
    answer(ready=sorted(tasks))
    with os.fdopen(commands, "rb") as told:
        for line in told:
            command = json.loads(line)
            _pin(os.getpid(), command["cpus"])
            answer(turn=tasks[command["task"]](command["count"]))


def _pin(pid: int, cpus: Sequence[int]) -> None:
    for thread in Path(f"/proc/{pid}/task").iterdir():
        # A thread may end meanwhile.
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread.name), cpus)


def _cpu_time(pid: int) -> float:
    # MAKE_PROCESS_CPUCLOCK of the kernel, which clock_getcpuclockid(3) makes of a pid.
    return time.clock_gettime(~pid << 3 | 2)
