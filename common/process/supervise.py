"""Runs a plan: makes its objects, starts its processes, watches over them, and removes it all.

One thread, one selector: the report socket, one connection and one pidfd a process, and the
signals of the launcher itself. A phase that outlasts its deadline ends the run (``process_hung``).
"""

from __future__ import annotations

import os
import selectors
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

from common import names
from common.errors import (
    KernelObjectError,
    MachineError,
    NotPermitted,
    ObjectVanished,
    ProcessLost,
)
from common.history import trace
from common.history.outcome import Outcome
from common.kernel import leftovers
from common.kernel.abandoned import Census, replaced
from common.kernel.ledger import Ledger, remove_directory
from common.kernel.objects import Maker
from common.kernel.small_disk import small_disk
from common.kernel.waits import Wait
from common.process import addresses, gate, jobs, recoveries, reserve
from common.process.deadlocks import Watch
from common.process.guard import Guard
from common.process.hanging import name_the_abandoned, name_the_hung
from common.process.injection import Injector, disk_needed
from common.process.interrupts import Interrupts
from common.process.members import Members
from common.process.orphans import Orphans
from common.process.others import FIRST_PAUSE, LONGEST_PAUSE, Others
from common.process.reception import Listener, Reception
from common.process.restarts import Restarts
from common.process.stage import Stage
from common.process.starting import Files, Starter
from common.scenario.plan import Plan
from common.system import System, operations_of

# How long a guest has to leave once it was told that the run ends (s); it looks before each trade.
GUEST_GRACE = 1.0


class Onlooker(Protocol):
    """Whoever wants to look at a run now and then, while its events are served."""

    def begin(self, plan: Plan, addresses: dict[str, Any], gate_ns: int) -> None:
        """The gate was opened, at ``gate_ns`` (CLOCK_MONOTONIC)."""

    def pause(self, most: float | None) -> float | None:
        """Return how long nothing needs to be looked at (s), ``most`` at most."""

    def look(self, members: Members) -> None:
        """Look, if it is time to; called after every event."""

    def end(self) -> None:
        """Nothing more will be seen; called however the run ends, also when it never began."""


class Supervisor:
    """One execution of one plan in ``run_dir``; ``base`` is where files that outlive it are kept.

    ``listener(event, **facts)`` is told of every event of the run's life cycle. ``keep`` leaves
    the kernel objects in place. ``direct`` is given the stage on which the processes stand, and
    lets them pass step by step; without it they run freely. ``onlooker`` looks at a free run from
    the opening of its gate.
    """

    def __init__(
        self,
        plan: Plan,
        systems: Mapping[str, System],
        run_dir: Path,
        base: Path,
        listener: Listener,
        *,
        keep: bool = False,
        direct: Callable[[Stage], None] | None = None,
        onlooker: Onlooker | None = None,
    ) -> None:
        self.plan = plan
        self.systems = systems
        self.run_dir = run_dir
        self.base = base
        self.tell = listener
        self.keep = keep
        self.direct = direct
        self.onlooker = onlooker
        self.selector = selectors.DefaultSelector()
        self.members = Members(plan, self.selector, listener)
        self.gate_ns = 0
        self.watch: Watch | None = None
        self.starter: Starter | None = None

    def perform(self) -> Outcome:
        """Run the plan to its end; returns what was observed, with every object removed.

        Raises ``MachineError`` when the machine cannot run it and ``KernelObjectError`` when an
        object cannot be made; nothing is left behind in either case.
        """
        short = jobs.shortages(self.plan, self.systems, self.run_dir)
        if short:
            raise MachineError("this machine cannot run it: " + "; ".join(short))
        objects: list[dict[str, Any]] = []
        leaks: list[dict[str, Any]] = []
        missing: list[str] = []
        # Signals only count from here to the end: nothing that was made is left by one.
        with self.selector, Interrupts(self.selector) as self.interrupts:
            with ExitStack() as undo, reserve.held(self.members):
                outcome = self._run(*self._prepare(undo, objects, leaks, missing))
            outcome.interrupted = self.interrupts.received
            if missing and outcome.vanished is None:
                outcome.vanished = f"{', '.join(missing)} was removed during the run"
            outcome.objects, outcome.leaks, outcome.kept = objects, leaks, self.keep
        self.tell("objects_kept" if self.keep else "objects_removed", objects=objects, leaks=leaks)
        return outcome

    def _prepare(
        self,
        undo: ExitStack,
        objects: list[dict[str, Any]],
        leaks: list[dict[str, Any]],
        missing: list[str],
    ) -> tuple[Maker, Path, int]:
        """Make what every run needs; each thing is undone whatever else fails, the last first."""
        if self.onlooker is not None:
            # The last of all: a terminal that does not take its last words must not keep objects.
            undo.callback(self.onlooker.end)
        self.orphans = Orphans()
        undo.callback(self.orphans.close)
        for sentence in leftovers.sweep():
            self.tell("dead_run_cleaned", what=sentence)
        directory = names.make_runtime_directory()
        undo.callback(self._remove_directory, directory, leaks)
        self.ledger = Ledger.create(
            directory, scenario=self.plan.scenario, run_dir=os.path.realpath(self.run_dir)
        )
        undo.callback(self.ledger.close)
        undo.callback(self._end_strays)
        undo.callback(Guard(directory, self.ledger).dismiss)
        maker = Maker(self.ledger, directory, self.base)
        census = Census()
        maker.interrupted = lambda: self.interrupts.received is not None

        def remove() -> None:
            objects.extend(maker.objects())
            missing.extend(maker.missing())
            self.members.remarks += replaced(self.ledger.entries, directory)
            if self.keep:
                self.ledger.keep()
            else:
                maker.remove_all()
                leaks.extend(maker.leaks())
            self.members.remarks += census.left(self.ledger, self.orphans.seen)

        undo.callback(remove)
        try:
            (self.run_dir / "history").mkdir()
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            stderr = os.open(self.run_dir / "stderr.txt", flags, 0o600)
        except OSError as error:
            raise MachineError(
                f"cannot write in {self.run_dir}: {error.strerror}", "choose another --out"
            ) from None
        undo.callback(os.close, stderr)
        self.files = Path(os.path.realpath(self.run_dir))
        size = disk_needed(self.plan)
        if size:
            self.files = undo.enter_context(small_disk(directory, size, self.files))
        undo.callback(self.members.close)
        undo.callback(lambda: self.starter.close() if self.starter is not None else None)
        self.members.remarks = maker.foreign.remarks
        undo.callback(self._end_strays)
        undo.callback(self.members.kill)
        return maker, directory, stderr

    def _end_strays(self) -> None:
        for sentence in self.orphans.end(self.ledger):
            self.tell("stray_ended", what=sentence)
            self.members.remarks.append(sentence)

    def _remove_directory(self, directory: Path, leaks: list[dict[str, Any]]) -> None:
        # Kept as long as there is something to clean: it holds the list of it.
        if leaks or (self.keep and self.members):
            return
        try:
            remove_directory(directory)
        except KernelObjectError as error:
            self.tell("directory_left", reason=str(error))

    def _run(self, maker: Maker, directory: Path, stderr: int) -> Outcome:
        plan = self.plan
        self.addresses = addresses.make(plan, maker, self.files)
        path = maker.socket_path("report")
        self.injector = Injector(plan, self.addresses, maker, self.members, self.tell)
        reception = Reception(
            path, self.selector, self.members, self._invite, self.tell, self.injector.reached
        )
        self.members.reception = reception
        for entry in maker.objects():
            self.tell("object_made", **entry)
        table = self.addresses["table"]
        self.others = Others(plan, self.addresses, maker)
        self.others.expect()
        self.starter = Starter(
            plan,
            self.systems,
            self.addresses,
            self.members,
            self.ledger,
            self.tell,
            Files(self.run_dir, self.files, directory, path, stderr),
            makers=self.others.first,
            turns=self.direct is not None,
        )
        if self.others:
            self.starter.start(self.others.first)
            self._await_others()
        initial = self.others.initial()
        deadlock: list[dict[str, Any]] = []
        passed: list[str] = []
        self.starter.start({process.name for process in plan.processes} - self.others.first)
        self.restarts = Restarts(
            plan, self.members, self.injector.later, self.starter.again, self.tell,
            self.starter.jobs,
            # Under a schedule the launcher puts the channels back to their beginning.
            maker.let_go if self.direct is None else lambda _but: None,
        )  # fmt: skip
        if self._until("start", plan.deadlines.start, self.members.all_ready):
            self.gate_ns = time.monotonic_ns()
            gate.open_gate(self.addresses["gate"], Wait(plan.deadlines.start))
            self.tell("gate_open", gate_ns=self.gate_ns)
            self.starter.feed()
            self.members.enter("ready", "run")
            # A program that makes an object may have ended before the gate opened.
            self.members.finish_stages()
            self.injector.begin()
            self.restarts.begin()
            seconds = plan.deadlines.run
            if self.direct is not None:
                deadlock, passed = self._conduct(reception, self.direct)
                # Whoever could be sent away was: the rest has only to end.
                seconds = plan.deadlines.finish
            else:
                self.watch = Watch(self.addresses)
                if self.onlooker is not None:
                    self.onlooker.begin(plan, self.addresses, self.gate_ns)
            self._until("run", seconds, self.members.all_ended)
            name_the_abandoned(self.members, self.watch, self.tell)
        self.restarts.end()
        self.members.kill()
        self.members.dismiss_guests()
        self._serve_until(self.members.guests_left, time.monotonic() + GUEST_GRACE)
        ended = time.monotonic_ns()
        outcome = Outcome(
            gate_ns=self.gate_ns or ended,
            ended_ns=ended,
            processes=sorted((m.outcome for m in self.members), key=lambda each: each.index),
            initial=initial,
            paper="paper.txt" if plan.paper is not None else None,
            deadlock=self.watch.found if self.watch is not None else deadlock,
            trace=passed,
            remarks=maker.foreign.remarks,
            faults=self.injector.told,
            restarts=self.restarts.count,
            given_up=self.restarts.given_up,
            spool=addresses.spooled(self.addresses),
        )
        try:
            if table and table["recovery"]:
                known = operations_of([self.systems[name] for name in plan.systems])
                outcome.recoveries = recoveries.settled(plan, outcome, table, known, self.run_dir)
            outcome.final = addresses.read_rows(plan, table) if table else None
        except (ObjectVanished, NotPermitted) as error:
            outcome.vanished = str(error)
        outcome.lock_values = addresses.lock_values(table) if table else []
        outcome.lock_holders = addresses.lock_holders(table) if table else []
        return outcome

    def _conduct(
        self, reception: Reception, direct: Callable[[Stage], None]
    ) -> tuple[list[dict[str, Any]], list[str]]:
        """Let ``direct`` lead the processes, as far as they can be led.

        Returns who waited for whom where nobody could go, and the order of the steps.
        """
        members = list(self.members)
        for member in members:
            reception.hand_over(member)
        stage = Stage(
            self.plan,
            self.addresses,
            members,
            reception.take,
            lambda: self.interrupts.received is not None,
        )
        stuck: list[dict[str, Any]] = []
        try:
            stage.open()
            direct(stage)
            if stage.stuck():
                stuck = stage.waits()
        except ProcessLost as lost:
            # What became of it is judged as in any other run.
            self.tell("process_lost", reason=str(lost))
        finally:
            stage.close()
            for member in members:
                reception.take_back(member)
        return stuck, trace.written(stage.passed(self.gate_ns))

    def _invite(self, pid: int, report: dict[str, Any]) -> dict[str, Any] | None:
        """Let a process of the same user join by itself, if it may; returns its job.

        It must not before the gate is open, nor under a schedule: who passes is settled there.
        """
        if not self.gate_ns or self.direct is not None or self.starter is None:
            return None
        return self.starter.invite(pid, report)

    def _await_others(self) -> None:
        """Wait for what other programs make; raises ``KernelObjectError`` when it does not come."""
        seconds = self.plan.deadlines.start
        deadline = time.monotonic() + seconds
        pause = FIRST_PAUSE
        while missing := self.others.missing(self.members):
            if self.interrupts.received or time.monotonic() > deadline:
                raise KernelObjectError(
                    f"waited {seconds:g} s for {missing}", "start its maker, or deadlines.start"
                )
            self._serve_until(lambda: False, time.monotonic() + pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)
        # Who has made it has done its part of the start.
        self.members.enter("start", "ready")

    # The loop

    def _until(self, phase: str, seconds: float, done: Callable[[], bool]) -> bool:
        """Serve events until ``done``; False when the deadline, a death or the user ended it."""
        deadline = time.monotonic() + seconds if seconds else None
        if not self._serve_until(lambda: done() or self._stopped(phase), deadline):
            name_the_hung(self.members, phase, seconds, self.tell)
            return False
        if self.interrupts.received:
            self.tell("interrupted", signal=self.interrupts.received)
            if phase != "start":
                self._finish(done)
            return False
        return done()

    def _stopped(self, phase: str) -> bool:
        if self.watch is not None and (self.watch.found or self.watch.abandoned):
            return True
        return bool(self.interrupts.received) or (phase == "start" and self.members.any_ended())

    def _finish(self, done: Callable[[], bool]) -> None:
        """Let everybody finish after an interruption; a second one ends that at once."""
        self.restarts.finish()
        self.injector.finish()
        self.members.dismiss_guests()
        self.members.finish_everybody()
        seconds = self.plan.deadlines.finish
        end = time.monotonic() + seconds
        if not self._serve_until(lambda: done() or self.interrupts.count > 1, end):
            name_the_hung(self.members, "finish", seconds, self.tell)

    def _serve_until(self, done: Callable[[], bool], deadline: float | None) -> bool:
        """Serve events until ``done``; False when it is not at ``deadline`` (s, monotonic)."""
        while not done():
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            # At the deadline all that has happened is still looked at: a launcher that was
            # stopped meanwhile must not blame its children.
            pause = left if self.watch is None else self.watch.pause(left)
            pause = self.injector.pause(pause)
            if self.onlooker is not None:
                pause = self.onlooker.pause(pause)
            ready = self.selector.select(pause)
            for key, _events in ready:
                # An event served a moment ago may have closed what this one is about.
                if self.selector.get_map().get(key.fd) is key:
                    key.data()
            self.injector.look()
            self.orphans.reap(self.ledger)
            self.members.finish_stages()
            if self.watch is not None:
                self.watch.look(self.members)
            if self.onlooker is not None:
                self.onlooker.look(self.members)
            if left == 0 and not ready and not done():
                return False
        return True
