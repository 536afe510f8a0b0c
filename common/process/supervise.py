"""Runs a plan: makes its objects, starts its processes, watches over them, and removes it all.

One thread, one selector: the report socket, one connection and one pidfd a process, and the
signals of the launcher itself. A phase that outlasts its deadline ends the run (``process_hung``).
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from common import names
from common.errors import MachineError, ObjectVanished
from common.history.outcome import Outcome, ProcessOutcome
from common.kernel.ledger import Ledger, remove_directory
from common.kernel.objects import Maker
from common.kernel.waits import Wait
from common.process import addresses, gate, inspect, jobs, spawn
from common.process.interrupts import Interrupts
from common.process.reception import Listener, Member, Reception
from common.scenario.plan import Plan, ProcessPlan
from common.system import System

# How long a process has between the request to finish and being killed, at an interruption (s).
GRACE = 2.0


class Supervisor:
    """One execution of one plan in ``run_dir``; ``base`` is where files that outlive it are kept.

    ``listener(event, **facts)`` is told of every event of the run's life cycle.
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
    ) -> None:
        self.plan = plan
        self.systems = systems
        self.run_dir = run_dir
        self.base = base
        self.tell = listener
        self.keep = keep
        self.members: list[Member] = []
        self.selector = selectors.DefaultSelector()
        self.wait = Wait(plan.deadlines.wait)
        self.gate_ns = 0

    def perform(self) -> Outcome:
        """Run the plan to its end; returns what was observed, with every object removed.

        Raises ``MachineError`` when the machine cannot run it and ``KernelObjectError`` when an
        object cannot be made; nothing is left behind in either case.
        """
        self._refuse_what_cannot_run()
        directory = names.make_runtime_directory()
        ledger = Ledger.create(
            directory, scenario=self.plan.scenario, run_dir=str(self.run_dir.resolve())
        )
        self.ledger = ledger
        maker = Maker(ledger, directory, self.base)
        (self.run_dir / "history").mkdir()
        stderr = os.open(
            self.run_dir / "stderr.txt",
            os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC,
            0o600,
        )
        outcome: Outcome | None = None
        try:
            with Interrupts(self.selector) as interrupts:
                self.interrupts = interrupts
                outcome = self._run(maker, directory, stderr)
                outcome.interrupted = interrupts.received
        finally:
            self._kill_all()
            self._close()
            os.close(stderr)
            objects = maker.objects()
            leaks: list[dict[str, Any]] = []
            if self.keep:
                self.tell("objects_kept", objects=objects)
            else:
                maker.remove_all()
                leaks = maker.leaks()
                self.tell("objects_removed", objects=len(objects), leaks=leaks)
            ledger.close()
            if not (self.keep or leaks):
                remove_directory(directory)
        outcome.objects, outcome.leaks = objects, leaks
        return outcome

    def _run(self, maker: Maker, directory: Path, stderr: int) -> Outcome:
        self.addresses = addresses.make(self.plan, maker, self.run_dir)
        path = maker.socket_path("report")
        self.reception = Reception(path, self.selector, self.members, self._admit, self.tell)
        for entry in maker.objects():
            self.tell("object_made", **entry)
        table = self.addresses["table"]
        initial = addresses.read_rows(self.plan, table) if table else None
        self._spawn_all(path, directory, stderr)
        started = self._until("start", self.plan.deadlines.start, self._all_ready)
        if started and not self.interrupts.received:
            self.gate_ns = time.monotonic_ns()
            gate.open_gate(self.addresses["gate"], self.wait)
            self.tell("gate_open", gate_ns=self.gate_ns)
            self._set_phase("run")
            self._until("run", self.plan.deadlines.run, self._all_ended)
        self._kill_all()
        ended = time.monotonic_ns()
        outcome = Outcome(
            gate_ns=self.gate_ns or ended,
            ended_ns=ended,
            processes=[member.outcome for member in self.members],
            initial=initial,
            paper="paper.txt" if self.plan.paper is not None else None,
        )
        try:
            outcome.final = addresses.read_rows(self.plan, table) if table else None
        except ObjectVanished as error:
            outcome.vanished = str(error)
        return outcome

    # Starting

    def _refuse_what_cannot_run(self) -> None:
        short = jobs.shortages(self.plan, self.systems, self.run_dir)
        if short:
            raise MachineError("this machine cannot run it: " + "; ".join(short))

    def _spawn_all(self, report: str, directory: Path, stderr: int) -> None:
        plan = self.plan
        spawn.warm_up({(self.systems[p.system].roles, p.role) for p in plan.processes})
        told = jobs.jobs(plan, self.systems, self.addresses, report, self.run_dir)
        self.tell("spawning", processes=len(told))
        pids: list[int] = []
        try:
            # Nothing but forks in this loop: each one makes every page that the launcher writes
            # afterwards cost a copy.
            for process, job in zip(plan.processes, told, strict=True):
                if process.spawn == "exec":
                    pids.append(spawn.execute(job, stderr, directory))
                else:
                    pids.append(spawn.fork(job, stderr))
        finally:
            for process, job, pid in zip(plan.processes, told, pids, strict=False):
                self._started(process, Path(job["record"]), pid)

    def _started(self, process: ProcessPlan, record: Path, pid: int) -> None:
        outcome = ProcessOutcome(process.name, process.role, process.system, process.index, pid)
        self._watch(Member(outcome, process.group, record))
        self.ledger.process(pid, names.start_time(pid), process.name)
        self.tell("process_started", process=process.name, pid=pid, spawn=process.spawn)

    # The loop

    def _until(self, phase: str, seconds: float, done: Callable[[], bool]) -> bool:
        """Serve events until ``done``; False when the deadline, a death or the user ended it."""
        deadline = time.monotonic() + seconds if seconds else None
        grace: float | None = None
        while not done():
            now = time.monotonic()
            if self.interrupts.count > 1 or (grace is not None and now > grace):
                return False
            if self.interrupts.received and grace is None:
                self.tell("interrupted", signal=self.interrupts.received)
                grace = now + max(GRACE, self.plan.deadlines.finish)
                self._finish_everybody()
                if phase == "start":
                    return False
            if deadline is not None and now > deadline:
                self._name_the_hung(phase, seconds)
                return False
            if phase == "start" and any(member.ended for member in self.members):
                return False
            ends = [end for end in (deadline, grace) if end is not None]
            timeout = max(0.0, min(ends) - now) if ends else None
            for key, _events in self.selector.select(timeout):
                # An event served a moment ago may have closed what this one is about.
                if self.selector.get_map().get(key.fd) is key:
                    key.data()
            self._finish_stages()
        return True

    def _all_ready(self) -> bool:
        return all(member.outcome.phase == "ready" for member in self.members)

    def _all_ended(self) -> bool:
        return all(member.ended for member in self.members if not member.outcome.guest) and (
            not self.interrupts.received or all(member.ended for member in self.members)
        )

    def _set_phase(self, phase: str) -> None:
        for member in self.members:
            if not member.ended and member.outcome.phase == "ready":
                member.outcome.phase = phase

    # Finishing

    def _finish_stages(self) -> None:
        # A group that only receives is told to finish when everybody who sends to it has ended.
        for group in self.plan.groups:
            senders = [
                other
                for other in self.plan.groups
                if other is not group and set(other.sends) & set(group.receives)
            ]
            if senders and all(self._group_ended(sender.name) for sender in senders):
                self._finish_group(group.name)

    def _group_ended(self, name: str) -> bool:
        return all(member.ended for member in self.members if member.group == name)

    def _finish_group(self, name: str) -> None:
        for member in self.members:
            if member.group == name and not member.told_to_finish and not member.ended:
                member.told_to_finish = True
                self._signal(member, signal.SIGTERM)

    def _finish_everybody(self) -> None:
        # Those who receive are told when their senders have ended, so that nothing is left over.
        for group in self.plan.groups:
            if not any(set(other.sends) & set(group.receives) for other in self.plan.groups):
                self._finish_group(group.name)
        for member in self.members:
            if member.outcome.guest and member.connection is not None:
                member.connection.send(b'{"type": "closing"}', socket.MSG_NOSIGNAL)
            elif not member.ended:
                self._signal(member, signal.SIGCONT)

    def _name_the_hung(self, phase: str, seconds: float) -> None:
        for member in self.members:
            if member.ended or member.outcome.guest:
                continue
            where = inspect.where(member.outcome.pid, member.record)
            member.outcome.hung = f"{phase} took longer than {seconds:g} s: {where}"
            self.tell("process_hung", process=member.outcome.name, phase=phase, where=where)

    def _kill_all(self) -> None:
        for member in self.members:
            if not member.ended and not member.outcome.guest:
                self._signal(member, signal.SIGKILL)
        for member in self.members:
            if not member.ended and not member.outcome.guest:
                self._reap(member)

    def _signal(self, member: Member, number: int) -> None:
        try:
            signal.pidfd_send_signal(member.pidfd, number)
        except ProcessLookupError:
            return

    # Events

    def _reap(self, member: Member) -> None:
        self.reception.accept_all()
        self.reception.drain(member)
        self.selector.unregister(member.pidfd)
        os.close(member.pidfd)
        member.pidfd = -1
        outcome = member.outcome
        if outcome.guest:
            outcome.exit = 0
        else:
            _pid, status, usage = os.wait4(outcome.pid, 0)
            outcome.cpu_s = usage.ru_utime + usage.ru_stime
            if os.WIFSIGNALED(status):
                outcome.signal = os.WTERMSIG(status)
            else:
                outcome.exit = os.WEXITSTATUS(status)
        self.tell(
            "process_ended",
            process=outcome.name,
            pid=outcome.pid,
            exit=outcome.exit,
            signal=outcome.signal,
            cpu_s=round(outcome.cpu_s, 6),
        )

    def _admit(self, pid: int, report: dict[str, Any]) -> tuple[Member, dict[str, Any]]:
        """Admit a process of the same user that joins by itself: a teller from the keyboard."""
        index = len(self.members)
        name = f"guest-{index}"
        role, system = str(report.get("role")), str(report.get("system"))
        outcome = ProcessOutcome(name, role, system, index, pid, guest=True)
        member = Member(outcome, "", self.run_dir / "history" / f"{name}.rec")
        self._watch(member)
        self.tell("guest_joined", process=name, pid=pid)
        return member, {
            "name": name,
            "group": "",
            "index": index,
            "seed": self.plan.seed ^ index,
            "delays": {},
            "addresses": {**self.addresses, "channels": {}},
            "record": str(member.record.resolve()),
            "paper": "",
            "wait_s": self.plan.deadlines.wait,
        }

    def _watch(self, member: Member) -> None:
        member.pidfd = os.pidfd_open(member.outcome.pid)
        self.members.append(member)
        self.selector.register(member.pidfd, selectors.EVENT_READ, lambda: self._reap(member))

    # Ending

    def _close(self) -> None:
        for member in self.members:
            if member.pidfd >= 0:
                os.close(member.pidfd)
                member.pidfd = -1
            if member.connection is not None:
                member.connection.close()
        if hasattr(self, "reception"):
            self.reception.close()
        self.selector.close()
