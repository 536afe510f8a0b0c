"""What a role is given: its name, its seed, its history, and the objects that it may open."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from common import kinds
from common.errors import ProcessError
from common.history.recorder import Recorder
from common.kernel.channels import Channel
from common.kernel.locks import Lock
from common.kernel.tables import Memory
from common.kernel.waits import Wait
from common.process import steps
from common.process.reports import Reporter


class Context:
    """The world of one process. Objects are opened when first asked for, and closed at the end.

    ``at`` is the step hook or None; ``clock`` gives CLOCK_MONOTONIC in ns; ``recorder`` writes the
    history, and ``begin`` and ``end`` are its calls for one operation.
    """

    def __init__(self, job: dict[str, Any], recorder: Recorder, reporter: Reporter) -> None:
        self.name: str = job["name"]
        self.group: str = job["group"]
        self.index: int = job["index"]
        self.random = random.Random(job["seed"])
        self.addresses: dict[str, Any] = job["addresses"]
        self._own_paper: str = job["paper"]
        self.clock: Callable[[], int] = time.monotonic_ns
        self.wait = Wait(
            job["wait_s"], lambda what: recorder.publish(time.monotonic_ns() if what else 0, what)
        )
        self.at = steps.hook(job["delays"], random.Random(job["seed"] ^ 1))
        self.recorder = recorder
        self.begin, self.end = recorder.begin, recorder.end
        self._reporter = reporter
        self._open: list[Memory | Lock | Channel] = []

    @property
    def finishing(self) -> bool:
        """Whether this process was told to finish what it has begun and stop."""
        return self.wait.finishing

    def finish_on_signal(self) -> None:
        """Take SIGTERM as the request to finish; the keyboard's signals are the launcher's."""

        def told(_number: int, _frame: FrameType | None) -> None:
            self.wait.finishing = True

        signal.signal(signal.SIGTERM, told)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def item(self, sequence: int) -> int:
        """Return the name of this process's ``sequence``-th job or order, unique in the run."""
        return self.index << 32 | sequence

    def progress(self, done: int) -> None:
        """Tell the launcher how many operations are done."""
        self._reporter.send("progress", done=done)

    def table(self) -> Memory:
        """Open the shared table; raises ``ProcessError`` when the scenario has none."""
        address = self._address("table")
        memory: Memory = kinds.load(kinds.TABLES, address["kind"]).attach(address["memory"])
        self._open.append(memory)
        return memory

    def table_lock(self) -> Lock:
        """Open the lock that guards the table (kind ``none`` when nothing does)."""
        return self._lock(self._address("table")["lock"], "the table's lock")

    def paper(self) -> tuple[str, Lock | None]:
        """Return the path of the paper and the lock that guards it.

        Where the scenario declares no shared paper, each process has its own, without a lock.
        """
        shared = self.addresses["paper"]
        if shared is None:
            return self._own_paper, None
        return shared["path"], self._lock(shared["lock"], "the paper's lock")

    def channel(self, name: str, mode: str, owner: str = "") -> Channel:
        """Open one end of a channel; ``owner`` names whose, where each process has its own."""
        address = self.addresses["channels"][name]
        if address["per"] and not owner:
            owner = self.name
        what = f"channel {name} of {owner}" if owner else f"channel {name}"
        module = kinds.load(kinds.CHANNELS, address["kind"])
        channel: Channel = module.attach(address["at"][owner], mode, self.wait, what, self.at)
        self._open.append(channel)
        return channel

    def channel_index(self, name: str) -> int:
        """Return the number by which records name a channel."""
        index: int = self.addresses["channels"][name]["index"]
        return index

    def close(self) -> None:
        """Close everything that was opened, the last first."""
        while self._open:
            self._open.pop().close()

    def _lock(self, address: dict[str, Any], what: str) -> Lock:
        lock: Lock = kinds.load(kinds.LOCKS, address["kind"]).attach(address["at"], self.wait, what)
        self._open.append(lock)
        return lock

    def _address(self, name: str) -> dict[str, Any]:
        address: dict[str, Any] | None = self.addresses.get(name)
        if address is None:
            raise ProcessError(f"{self.name} needs a {name}, and the scenario has none")
        return address
