"""What a role is given: its name, its seed, its history, and the objects that it may open."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from common import kinds
from common.errors import ProcessError
from common.history import record
from common.history.recorder import Recorder
from common.kernel.channels import Channel
from common.kernel.intents import Intents
from common.kernel.locks import Lock
from common.kernel.recovery import RecoveringLock, Recovery
from common.kernel.spool.spool import Spool
from common.kernel.tables import Memory
from common.kernel.waits import Wait
from common.process import steps
from common.process.recoveries import open_intents
from common.process.reports import Reporter
from common.process.triggers import WAIT, Triggers
from common.process.turns import Turns


class Context:
    """The world of one process. Objects are opened when first asked for, and closed at the end.

    ``life`` is 0, or which one it is of those that were started in the place of a process that was
    killed or failed. ``at`` is the step hook or None; ``clock`` gives CLOCK_MONOTONIC in ns;
    ``recorder`` writes the history, and ``begin`` and ``end`` are its calls for one operation.
    """

    def __init__(self, job: dict[str, Any], recorder: Recorder, reporter: Reporter) -> None:
        self._seed: int = job["seed"]
        self.name: str = job["name"]
        self.group: str = job["group"]
        self.life: int = job.get("life", 0)
        # The process of the plan that it is, or in whose place it was started: whose channels,
        # where each has its own, are its own.
        self.first_name = self.name.removesuffix(f".{self.life}") if self.life else self.name
        self.index: int = job["index"]
        self.random = random.Random(job["seed"])
        self.addresses: dict[str, Any] = job["addresses"]
        self.signals = 0
        self._own_paper: str = job["paper"]
        self.clock: Callable[[], int] = time.monotonic_ns
        self.wait = Wait(job["wait_s"], self._standing)
        self.turns = Turns(reporter.fileno(), self.wait) if job["turns"] else None
        # Under a schedule nothing runs beside this process: a delay would only cost time.
        self.at = (
            steps.hook(job["delays"], random.Random(job["seed"] ^ 1))
            if self.turns is None
            else self.turns.at
        )
        # Where faults wait for its steps they come last: exactly before what the step names.
        self.triggers: Triggers | None = None
        if job.get("faults"):
            self.triggers = Triggers(job["faults"], job["seed"], self.life, reporter, self)
            self.at = self.triggers.hook(self.at)
        self.recorder = recorder
        self.begin, self.end = recorder.begin, recorder.end
        self._reporter = reporter
        self._open: list[Lock | Channel | Spool] = []
        self._table: Memory | None = None
        self._table_locks: dict[int, Lock] = {}
        self._intents: Intents | None = None
        self._recovery: Recovery | None = None
        self._channels: dict[tuple[str, str, str], Channel] = {}
        self._paper: tuple[int, Lock | None] | None = None
        self._files: dict[str, int] = {}

    @property
    def finishing(self) -> bool:
        """Whether this process was told to finish what it has begun and stop."""
        return self.wait.finishing

    def _standing(self, what: str) -> None:
        """Publish what the process waits for ("" for nothing): to block is a step, too."""
        self.recorder.publish(time.monotonic_ns() if what else 0, what)
        if what and self.triggers is not None:
            self.triggers.reach(WAIT)

    def finish_on_signal(self) -> None:
        """Take SIGTERM as the request to finish; the keyboard's signals are the launcher's.

        Those for users (SIGUSR1, SIGUSR2) are counted in ``signals``.
        """

        def told(_number: int, _frame: FrameType | None) -> None:
            self.wait.finishing = True

        def seen(_number: int, _frame: FrameType | None) -> None:
            self.signals += 1

        signal.signal(signal.SIGTERM, told)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # Not fatal, and counted: calls that a signal interrupts are made again.
        signal.signal(signal.SIGUSR1, seen)
        signal.signal(signal.SIGUSR2, seen)

    def item(self, sequence: int) -> int:
        """Return the name of this process's ``sequence``-th job or order, unique in the run."""
        return self.index << 32 | sequence

    def own(self, item: int) -> bool:
        """Say whether ``item`` names a job or an order of this process."""
        return item >> 32 == self.index

    def progress(self, done: int) -> None:
        """Tell the launcher how many operations are done."""
        if self.turns is None:
            self._reporter.send("progress", done=done)

    def full(self, channel: str) -> None:
        """Tell the launcher that there was no room in a channel, for one that does not wait.

        Once is enough: how often is in the summary, and a log is a file on a disk.
        """
        if self.turns is None:
            self._reporter.send("full", channel=channel)

    @property
    def recovered(self) -> int:
        """How often a lock was given to this process by an owner that had died in it."""
        return sum(getattr(opened, "recovered", 0) for opened in self._open)

    @property
    def cut_short(self) -> int:
        """How many connections to this process ended in the middle of a message."""
        return sum(getattr(opened, "cut_short", 0) for opened in self._open)

    def table(self) -> Memory:
        """Open the shared table; raises ``ProcessError`` when the scenario has none."""
        address = self._address("table")
        if self._table is None:
            memory: Memory = kinds.load(kinds.TABLES, address["kind"]).attach(address["memory"])
            self._table = memory
        return self._table

    @property
    def recovery(self) -> Recovery | None:
        """This process's part in the recovery of the table; None where nothing is recovered."""
        table = self._address("table")
        if table["recovery"] is not None and self._recovery is None:
            self._intents = open_intents(table, self.table())
            self._recovery = Recovery(self._intents, "the table", self.at)
        return self._recovery

    def table_lock(self, row: int = 0) -> Lock:
        """Open the lock that guards a row (kind ``none`` when nothing does).

        Where one lock guards the whole table, it is the same object for every row; whoever takes
        it ends what a dead holder left half done, where the table has recovery.
        """
        table = self._address("table")
        number = row % len(table["locks"])
        if number not in self._table_locks:
            one = len(table["locks"]) == 1
            what = "the table's lock" if one else f"the lock of {table['names'][number]}"
            lock = self._lock(table["locks"][number], what)
            recovery = self.recovery
            self._table_locks[number] = lock if recovery is None else RecoveringLock(lock, recovery)
        return self._table_locks[number]

    def table_locks_at_once(self, rows: Sequence[int]) -> Lock:
        """Open the locks of several rows as one: all are taken, or none (see ``together``)."""
        module = kinds.load(kinds.LOCKS, self._address("table")["locks"][0]["kind"])
        lock: Lock = module.together([self.table_lock(row) for row in rows])
        self._open.append(lock)
        return lock

    def lock_number(self, row: int) -> int:
        """Return the number by which records name the lock that guards a row."""
        locks = self._address("table")["locks"]
        if not kinds.load(kinds.LOCKS, locks[0]["kind"]).EXCLUDES:
            return record.NO_LOCK
        return record.TABLE_LOCK if len(locks) == 1 else record.FIRST_ROW_LOCK + row

    def paper(self) -> tuple[int, Lock | None]:
        """Return the descriptor of the paper, to append to, and the lock that guards it.

        Where the scenario declares no shared paper, each process has its own, without a lock.
        """
        if self._paper is None:
            shared = self.addresses["paper"]
            path = self._own_paper if shared is None else shared["path"]
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            lock = None if shared is None else self._lock(shared["lock"], "the paper's lock")
            self._paper = (os.open(path, flags, 0o600), lock)
        return self._paper

    def shared_file(self, name: str) -> int:
        """Return the descriptor of a file of this run's, empty at first, to read and append to.

        Processes that ask for the same ``name`` have the same file, ``NAME.txt`` in the directory
        of the run.
        """
        if name not in self._files:
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            path = Path(self._own_paper).with_name(f"{name}.txt")
            self._files[name] = os.open(path, flags, 0o600)
        return self._files[name]

    def channel(self, name: str, mode: str, owner: str = "") -> Channel:
        """Open one end of a channel; ``owner`` names whose, where each process has its own."""
        address = self.addresses["channels"][name]
        if address["per"] and not owner:
            owner = self.first_name
        if (name, mode, owner) in self._channels:
            return self._channels[name, mode, owner]
        what = f"channel {name} of {owner}" if owner else f"channel {name}"
        module = kinds.load(kinds.CHANNELS, address["kind"])
        at = self.at if self.turns is None else self.turns.within
        channel: Channel = module.attach(address["at"][owner], mode, self.wait, what, at)
        self._open.append(channel)
        self._channels[name, mode, owner] = channel
        return channel

    def spool(self) -> Spool:
        """Open the spool; raises ``ProcessError`` when the scenario has none."""
        spool = Spool(self._address("spool"), self.wait, self.name, self.at)
        self._open.append(spool)
        return spool

    def channel_index(self, name: str) -> int:
        """Return the number by which records name a channel."""
        index: int = self.addresses["channels"][name]["index"]
        return index

    def abandon(self) -> None:
        """Let go of every lock, wherever the role stopped: others are to begin again, too."""
        for opened in self._open:
            opened.abandon()

    def restart(self) -> None:
        """Be as at the beginning, for a role that does it all again; what is open stays open."""
        self.random = random.Random(self._seed)
        self.wait.finishing = False
        self.recorder.rewind()
        for channel in self._channels.values():
            channel.restart()
        for file in self._files.values():
            os.ftruncate(file, 0)
        if self._paper is not None and self.addresses["paper"] is None:
            os.ftruncate(self._paper[0], 0)

    def close(self) -> None:
        """Close everything that was opened, the last first."""
        while self._open:
            self._open.pop().close()
        if self._intents is not None:
            self._intents.close()
        if self._table is not None:
            self._table.close()

    def _lock(self, address: dict[str, Any], what: str) -> Lock:
        lock: Lock = kinds.load(kinds.LOCKS, address["kind"]).attach(address["at"], self.wait, what)
        self._open.append(lock)
        return lock

    def _address(self, name: str) -> dict[str, Any]:
        address: dict[str, Any] | None = self.addresses.get(name)
        if address is None:
            raise ProcessError(f"{self.name} needs a {name}, and the scenario has none")
        return address
