"""Run after run, several at once, until time or number is reached; counts what came of it."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import selectors
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from types import FrameType
from typing import Any

from common.kernel import libc
from common.soaking.drawing import draw
from common.soaking.place import Place, discard
from common.soaking.trial import Report, Trial
from common.system import System

MINUTE = 60.0


@dataclass
class Tally:
    """What all runs of a soak came to; ``unexpected`` are the reports of those that failed."""

    runs: int = 0
    processes: int = 0
    restarts: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    launchers: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    findings: Counter[str] = field(default_factory=Counter)
    leaks: int = 0
    unexpected: list[Report] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def take(self, report: Report) -> None:
        """Count one run."""
        self.runs += 1
        self.processes += report.processes
        self.restarts += report.restarts
        self.faults.update(report.faults)
        self.findings.update(set(report.findings))
        self.launchers.update([report.fate] if report.fate else [])
        self.verdicts.update([report.verdict or "cut off"])
        self.leaks += len(report.leaks)
        if report.unexpected or report.leaks:
            self.unexpected.append(report)

    @property
    def fine(self) -> bool:
        """Whether nothing was unexpected and nothing was left."""
        return not (self.unexpected or self.leaks or self.left)


class Soak:
    """A soak of ``seed`` in ``place``, ``jobs`` runs at once.

    ``tell(report)`` hears of each run that failed, ``minute(tally)`` each minute how it stands.
    """

    def __init__(
        self,
        seed: int,
        place: Place,
        systems: Mapping[str, System],
        jobs: int,
        tell: Callable[[Report], None],
        minute: Callable[[Tally, float], None],
    ) -> None:
        self.seed = seed
        self.place = place
        self.systems = systems
        self.jobs = jobs
        self.tell = tell
        self.minute = minute
        self.tally = Tally()
        self.interrupted = 0
        self._selector = selectors.DefaultSelector()
        self._heard: dict[int, bytes] = {}
        self._workers: dict[int, int] = {}

    def perform(self, seconds: float, numbers: Iterable[int]) -> None:
        """Run these numbers until they or the seconds end; a signal ends it after those begun."""
        begun = time.monotonic()
        next_minute = begun + MINUTE
        waiting = iter(numbers)
        with self._selector, _asked_to_stop(self._stop):
            while True:
                now = time.monotonic()
                over = self.interrupted or now - begun >= seconds
                while not over and len(self._workers) < self.jobs:
                    number = next(waiting, None)
                    if number is None:
                        over = True
                        break
                    self._begin(number)
                if not self._workers:
                    break
                self._serve(max(0.0, next_minute - now))
                if time.monotonic() >= next_minute:
                    next_minute += MINUTE
                    self.minute(self.tally, time.monotonic() - begun)
        self.tally.left = self.place.left()

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        self.interrupted = self.interrupted or number
        for pid in self._workers.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def _begin(self, number: int) -> None:
        reading, writing = os.pipe()
        parent = os.getpid()
        pid = os.fork()
        if not pid:
            os.close(reading)
            _work(self, number, writing, parent)
        os.close(writing)
        self._heard[reading] = b""
        self._workers[reading] = pid
        self._selector.register(reading, selectors.EVENT_READ, number)

    def _serve(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            more = os.read(key.fd, 1 << 16)
            self._heard[key.fd] += more
            if not more:
                self._end(key.fd, key.data)

    def _end(self, reading: int, number: int) -> None:
        self._selector.unregister(reading)
        os.close(reading)
        pid, said = self._workers.pop(reading), self._heard.pop(reading)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if said:
            report = Report(**json.loads(said))
        elif self.interrupted:
            # Asked to stop before its run had begun.
            return
        else:
            report = Report(number, "", unexpected=[f"it said nothing: status {status}"])
        self.tally.take(report)
        if report.unexpected or report.leaks:
            self.tell(report)
        else:
            discard(self.place.runs / str(number))


def _work(soak: Soak, number: int, writing: int, parent: int) -> None:
    """Be the process of one run: never returns."""
    try:
        libc.prctl_die_with_parent(signal.SIGTERM, parent)
        # Away from the terminal: Ctrl-C is the soak's.
        os.setsid()
        signal.signal(signal.SIGTERM, _raise)
        data = json.dumps(asdict(_tried(soak, number))).encode()
        while data:
            data = data[os.write(writing, data) :]
    finally:
        os._exit(0)


def _tried(soak: Soak, number: int) -> Report:
    try:
        draft = draw(soak.seed, number, soak.systems)
        return Trial(draft, soak.place.runs / str(number), soak.systems).perform()
    except Exception:
        return Report(number, "", unexpected=[traceback.format_exc()])


def _raise(number: int, frame: FrameType | None) -> None:
    # Once: what ends its launcher must not be broken off.
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextlib.contextmanager
def _asked_to_stop(handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    asking = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [(number, signal.signal(number, handler)) for number in asking]
    try:
        yield
    finally:
        for number, old in before:
            signal.signal(number, old)


def numbers(first: int, runs: int | None) -> Iterable[int]:
    """Return the numbers of a soak's runs, from the first; None: without end."""
    return itertools.count(first) if runs is None else range(first, first + runs)
