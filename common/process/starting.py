"""Starts the processes of one run: those of the plan, those in a dead one's place, and guests."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from common import kinds, names
from common.history.outcome import ProcessOutcome
from common.kernel.ledger import Ledger
from common.process import jobs, programs, reports, spawn
from common.process.members import Member, Members
from common.process.reception import Listener
from common.scenario.plan import Plan, ProcessPlan
from common.system import System


class Files(NamedTuple):
    """Where things of a run lie.

    ``run_dir`` keeps its records, ``papers`` what is printed, ``directory`` is that of its sockets;
    ``report`` is the path of the report socket and ``stderr`` the descriptor of last words.
    """

    run_dir: Path
    papers: Path
    directory: Path
    report: str
    stderr: int


class Starter:
    """Starts processes and makes them ``members``; each is in the ledger as soon as it exists.

    ``makers`` name the programs that make objects of the run: they are started before the others.
    With ``turns`` a schedule leads the processes. ``jobs`` is what each of the plan is told.
    """

    def __init__(
        self,
        plan: Plan,
        systems: Mapping[str, System],
        addresses: dict[str, Any],
        members: Members,
        ledger: Ledger,
        tell: Listener,
        files: Files,
        *,
        makers: Collection[str],
        turns: bool,
    ) -> None:
        self._plan, self._systems = plan, systems
        self._addresses = addresses
        self._members = members
        self._ledger = ledger
        self._tell = tell
        self._files = files
        self._makers = makers
        self._programs: list[programs.Started] = []
        spawn.warm_up({(systems[p.system].roles, p.role) for p in plan.processes})
        told = jobs.jobs(
            plan, systems, addresses, files.report, files.run_dir, files.papers, turns
        )  # fmt: skip
        self.jobs = {job["name"]: job for job in told}

    def start(self, wanted: Collection[str]) -> None:
        """Start these processes of the plan; raises ``MachineError`` when there is no room."""
        chosen = [process for process in self._plan.processes if process.name in wanted]
        self._tell("spawning", processes=len(chosen))
        pids: list[int] = []
        try:
            # Nothing but forks in this loop: each one makes every page that the launcher writes
            # afterwards cost a copy.
            for process in chosen:
                pids.append(self._start(process, self.jobs[process.name]))
        finally:
            for process, pid in zip(chosen, pids, strict=False):
                self._started(process, self.jobs[process.name], pid)

    def again(self, process: ProcessPlan, life: int) -> None:
        """Start a process in the place of one that was killed or failed."""
        job = jobs.anew(self.jobs[process.name], life, len(self._members))
        self._started(process, job, self._start(process, job))

    def feed(self) -> None:
        """Give the programs that read lines theirs: the gate is open."""
        for program in self._programs:
            program.feed()

    def invite(self, pid: int, report: dict[str, Any]) -> dict[str, Any] | None:
        """Make a process that joins by itself a member; returns its job, None when it is gone."""
        index = len(self._members)
        name = f"guest-{index}"
        role, system = (reports.harmless(report.get(key)) for key in ("role", "system"))
        outcome = ProcessOutcome(name, role, system, index, pid, phase="run", guest=True)
        record = Path(os.path.realpath(self._files.run_dir)) / "history" / f"{name}.rec"
        try:
            self._members.watch(Member(outcome, "", record))
        except OSError:
            return None
        self._tell("guest_joined", process=name, pid=pid)
        return {
            "name": name,
            "group": "",
            "index": index,
            "seed": self._plan.seed ^ index,
            "delays": {},
            "addresses": {**self._addresses, "channels": {}},
            "record": str(record),
            "paper": "",
            "turns": False,
            "wait_s": self._plan.deadlines.wait,
        }

    def close(self) -> None:
        """Let go of what programs read from."""
        for program in self._programs:
            program.close()

    def _start(self, process: ProcessPlan, job: dict[str, Any]) -> int:
        stderr, directory = self._files.stderr, self._files.directory
        if process.program is not None:
            first = process.name in self._makers and job["life"] == 0
            started = programs.start(job, stderr, directory, first=first)
            self._programs.append(started)
            return started.pid
        if process.spawn == "exec":
            return spawn.execute(job, stderr, directory)
        return spawn.fork(job, stderr)

    def _starts_others(self, process: ProcessPlan) -> bool:
        """Tell whether it is to start a program that is not ours."""
        options = kinds.load(self._systems[process.system].roles, process.role).Options
        fields = dataclasses.fields(options)
        return any(each.metadata.get("program") and process.options[each.name] for each in fields)

    def _started(self, process: ProcessPlan, job: Mapping[str, Any], pid: int) -> None:
        life: int = job["life"]
        outcome = ProcessOutcome(
            job["name"], process.role, process.system, job["index"], pid, life=life,
            first=process.index if life else None, level=process.level,
        )  # fmt: skip
        self._members.watch(Member(outcome, process.group, Path(job["record"]), process.name))
        foreign = bool(process.level) or self._starts_others(process)
        self._ledger.process(pid, names.start_time(pid), job["name"], foreign=foreign)
        self._tell("process_started", process=job["name"], pid=pid, spawn=process.spawn)
