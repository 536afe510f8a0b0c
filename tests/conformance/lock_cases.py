"""Every kind of lock with every choice of its options, and processes that hold locks for a test.

A lock is held by a process, not by a handle: what a second handle of the same process may do
differs between kinds. So whoever takes a lock here is a process of its own, which the test tells
what to do; the test's process opens none, since its children would inherit it.
"""

from __future__ import annotations

import dataclasses
import itertools
import mmap
import os
import select
import signal
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from common import kinds
from common.errors import KernelObjectError, ObjectVanished, WaitExpired
from common.kernel import locks
from common.kernel.locks import Facts, Lock
from common.kernel.objects import Maker
from common.kernel.waits import Wait
from common.process import inspect
from tests.conftest import PATIENCE, Child, Fork

WHAT = "the till"
# Seconds until a wait that must be in vain is given up.
SHORT = 0.15

# What a process answers: done; it waits, and waits no longer; its deadline passed; the object is
# gone; it was refused; a signal came; an error does not say what it should.
DONE, WAITS, WAITED, EXPIRED, VANISHED, REFUSED, SIGNALLED, WRONG = "dw.xves?"


class Case(NamedTuple):
    """A kind of lock with one setting of its options."""

    kind: str
    options: dict[str, Any]

    @property
    def module(self) -> Any:
        return kinds.load(kinds.LOCKS, self.kind)

    @property
    def facts(self) -> Facts:
        found: Facts = self.module.facts(self.module.Options(**self.options))
        return found


def _settings(kind: str) -> Iterator[dict[str, Any]]:
    """Yield every combination of what switches and words an option of a kind may be."""
    fields = dataclasses.fields(kinds.load(kinds.LOCKS, kind).Options)
    choices = {
        field.name: (True, False) if isinstance(field.default, bool) else field.metadata["choices"]
        for field in fields
        if isinstance(field.default, bool) or field.metadata["choices"]
    }
    for values in itertools.product(*choices.values()):
        yield dict(zip(choices, values, strict=True))


ALL = [Case(kind, options) for kind in kinds.names(kinds.LOCKS) for options in _settings(kind)]
EXCLUDING = [case for case in ALL if case.module.EXCLUDES]
TOGETHER = [case for case in ALL if hasattr(case.module, "together")]


def each(cases: list[Case], fixture: str = "opener") -> pytest.MarkDecorator:
    """Run a test with a lock, or with ``rows``, of each of these cases."""
    names = ["-".join([case.kind, *map(str, case.options.values())]) for case in cases]
    return pytest.mark.parametrize(fixture, cases, ids=names, indirect=True)


def freed_by_removal(module: Any) -> bool:
    """Say whether a lock whose object is not there is free."""
    return bool(getattr(module, "FREED_BY_REMOVAL", False))


class Opener(NamedTuple):
    """Opens one lock, or those of several rows at once, as often as it is asked to."""

    case: Case
    addresses: tuple[Any, ...]
    what: tuple[str, ...] = (WHAT,)

    @property
    def address(self) -> Any:
        return self.addresses[0]

    def __call__(self, wait: Wait) -> Lock:
        module = self.case.module
        opened: list[Lock] = [
            module.attach(address, wait, what)
            for address, what in zip(self.addresses, self.what, strict=True)
        ]
        if len(opened) == 1:
            return opened[0]
        together: Lock = module.together(opened)
        return together


class Rows(NamedTuple):
    """Locks of one ``make_rows``."""

    case: Case
    made: list[Opener]

    def together(self, *numbers: int) -> Opener:
        """Return what opens the locks of several rows as one."""
        chosen = [self.made[number] for number in numbers]
        addresses = tuple(opener.address for opener in chosen)
        return Opener(self.case, addresses, tuple(opener.what[0] for opener in chosen))


def make(case: Case, maker: Maker) -> Opener:
    module = case.module
    return Opener(case, (module.make(module.Options(**case.options), maker),))


def make_rows(case: Case, count: int, maker: Maker) -> Rows:
    made = locks.make_rows(case.kind, case.options, count, maker)
    return Rows(case, [Opener(case, (one,), (f"row {n}",)) for n, one in enumerate(made)])


class Process:
    """A forked process that opens a lock and does with it what it is told, a letter at a time.

    ``seconds`` is the patience of its waits.
    """

    def __init__(self, fork: Fork, opener: Opener, seconds: float) -> None:
        reading, telling = os.pipe()
        hearing, saying = os.pipe()
        words = _Words(opener, seconds, reading, saying)

        def work() -> None:
            # The test's ends: with its own copy of them it would never hear that the test is over.
            os.close(hearing)
            os.close(telling)
            words.obey()

        self._sleeps = opener.case.facts.waiting.startswith("sleeps")
        self._child: Child = fork(work)
        self.pid = self._child.pid
        self.kill = self._child.kill
        self._hearing, self._telling = hearing, telling
        # The other ends are its own: so its end is heard.
        os.close(reading)
        os.close(saying)

    def begin(self, word: str) -> None:
        """Tell it to do something, and go on."""
        os.write(self._telling, word.encode())

    def hear(self) -> str:
        """Return its next sign; empty once it, and all that it has forked, have ended."""
        poll = select.poll()
        poll.register(self._hearing, select.POLLIN)
        assert poll.poll(PATIENCE * 1000), "a process says nothing"
        return os.read(self._hearing, 1).decode()

    def wait_to_acquire(self) -> None:
        """Have it wait for the lock, and see that it does: where waiting is sleeping, asleep."""
        self.begin("a")
        assert self.hear() == WAITS
        # Between its word and its system call it runs: woken there, it proves nothing.
        while self._sleeps and inspect.letter(self.pid) != "S":
            os.sched_yield()

    def result(self) -> str:
        """Return what came of what it was told."""
        while (sign := self.hear()) in (WAITS, WAITED):
            pass
        return sign

    def do(self, word: str) -> str:
        """Tell it to do something; returns what came of it."""
        self.begin(word)
        return self.result()

    def acquire(self) -> str:
        return self.do("a")

    def release(self) -> str:
        return self.do("r")

    def end(self) -> None:
        """Have it close the lock and end well."""
        self.begin("q")
        assert self._child.ended() == 0

    def die(self) -> None:
        """Kill it."""
        self.kill()
        assert self._child.ended() == -signal.SIGKILL

    def close(self) -> None:
        os.close(self._hearing)
        os.close(self._telling)


class _Words:
    """What a process does at each letter."""

    def __init__(self, opener: Opener, seconds: float, reading: int, saying: int) -> None:
        self._opener = opener
        self._reading = reading
        self._saying = saying
        self._wait = Wait(seconds, lambda what: self._say(WAITS if what else WAITED))

    def obey(self) -> None:
        lock = self._opener(self._wait)
        does: dict[str, Callable[[], object]] = {
            "a": lambda: lock.acquire(),
            "r": lambda: lock.release(),
            "A": lambda: lock.reading.acquire(),
            "R": lambda: lock.reading.release(),
            "t": lambda: lock.quick.take and lock.quick.take(),
            "g": lambda: lock.quick.give and lock.quick.give(),
            "l": lambda: lock.abandon(),
            "f": self._fork,
            "s": self._listen,
        }
        asks: dict[str, Callable[[], int]] = {
            "n": lambda: getattr(lock, "recovered", 0),
            "d": lambda: lock.reading is not lock,
        }
        while (word := os.read(self._reading, 1).decode()) not in ("q", ""):
            self._say(str(int(asks[word]())) if word in asks else self._outcome(does[word]))
        lock.close()

    def _outcome(self, work: Callable[[], object]) -> str:
        try:
            work()
        except WaitExpired as error:
            told = (error.what, error.seconds)
            whole = " and ".join(self._opener.what)
            return EXPIRED if told == (whole, self._wait.seconds) else WRONG
        except KernelObjectError as error:
            sign = VANISHED if isinstance(error, ObjectVanished) else REFUSED
            return sign if self._opener.what[0] in str(error) else WRONG
        return DONE

    def _fork(self) -> None:
        if os.fork() == 0:
            # It holds what it inherited until it is told to end, or nobody can tell it any more.
            os.read(self._reading, 1)
            os._exit(0)

    def _listen(self) -> None:
        signal.signal(signal.SIGUSR1, lambda _number, _frame: self._say(SIGNALLED))

    def _say(self, sign: str) -> None:
        os.write(self._saying, sign.encode())


Start = Callable[..., Process]


def starting(fork: Fork) -> Iterator[Start]:
    """Yield a function that starts a process with a lock, patient unless told otherwise."""
    started: list[Process] = []

    def start(opener: Opener, seconds: float = PATIENCE) -> Process:
        started.append(Process(fork, opener, seconds))
        return started[-1]

    yield start
    for process in started:
        process.close()


def shared_integers(count: int) -> memoryview:
    """Return zeroed integers that a test shares with the processes that it forks."""
    return memoryview(mmap.mmap(-1, count * 8)).cast("q")


def shut(start: Start, opener: Opener, word: str = "a") -> bool:
    """Say whether the lock is held by somebody, as a process that comes newly finds out."""
    process = start(opener, SHORT)
    found = process.do(word)
    assert found in (DONE, EXPIRED)
    if found == DONE:
        assert process.do({"a": "r", "A": "R"}[word]) == DONE
    process.end()
    return found == EXPIRED
