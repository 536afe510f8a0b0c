"""One process that is led from step to step: where it stands, and what is said over its socket."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from common.errors import ProcessLost
from common.process import inspect, reports
from common.process.members import Member

# How often the launcher looks whether the user wants to stop, while a process is on its way (s).
TICK = 0.25


@dataclass(frozen=True, eq=False)
class Stand:
    """Where a process stands: before which step, and what it touches if it passes.

    One object a step of a process: compared by identity, which costs least.

    ``blocks`` says that the step can block, ``begins`` that it begins an operation, before which
    the process can be stopped; ``takes`` and ``gives`` name a lock.
    """

    step: str
    reads: frozenset[str]
    changes: frozenset[str]
    takes: str
    gives: str
    blocks: bool
    begins: bool = False

    def meets(self, other: Stand) -> bool:
        """Whether the order of two steps matters: one changes what the other touches."""
        return not (
            self.changes.isdisjoint(other.changes)
            and self.changes.isdisjoint(other.reads)
            and self.reads.isdisjoint(other.changes)
        )

    @property
    def waits_for(self) -> str:
        """The object on which it would block."""
        return self.takes or next(iter(sorted(self.changes or self.reads)), "")


@dataclass(eq=False)
class Player:
    """One process on the stage; ``stand`` is None once it has ended.

    ``lost`` says in words why it can do nothing more: it died, it failed, or it stands still.
    ``summary`` is its last report as it came; ``known`` are the steps at which it ever stood, in
    the order in which the process numbers them.
    """

    number: int
    name: str
    group: str
    member: Member
    connection: int = -1
    stand: Stand | None = None
    ready: bool = False
    finishing: bool = False
    summary: bytes = b""
    left: bool = False
    lost: str = ""
    known: list[Stand] = field(default_factory=list)

    @property
    def enabled(self) -> bool:
        """Whether it can pass now."""
        return self.stand is not None and self.ready

    def connect(self) -> None:
        """Take over the connection; ``lost`` when there is none any more."""
        connection = self.member.connection
        if connection is None:
            self.lost = f"{self.name} {self.member.death()}"
            return
        connection.setblocking(True)
        tick = struct.pack("@ll", 0, int(TICK * 1e6))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, tick)
        self.connection = connection.fileno()

    def say(self, word: bytes) -> None:
        """Say one word, to whoever is still there."""
        if self.connection < 0:
            return
        try:
            os.write(self.connection, word)
        except (BrokenPipeError, ConnectionResetError):
            # It is gone: its end of the connection says so when it is read.
            return

    def read(self, patience: float, interrupted: Callable[[], bool]) -> bytes:
        """Return the next words of a process, empty at its end.

        Raises ``ProcessLost`` when none come within ``patience`` (s), or when the user does not
        want to wait.
        """
        try:
            return os.read(self.connection, reports.LARGEST)
        except BlockingIOError:
            return self._wait(patience, interrupted)
        except ConnectionResetError:
            return b""

    def _wait(self, patience: float, interrupted: Callable[[], bool]) -> bytes:
        until = time.monotonic() + patience - TICK
        while True:
            try:
                return os.read(self.connection, reports.LARGEST)
            except ConnectionResetError:
                return b""
            except BlockingIOError:
                late = time.monotonic() > until
                if not (late or interrupted()):
                    continue
            member, after = self.member, f" after {self.stand.step}" if self.stand else ""
            told = f"did not come to its next step{after}"
            self.stand = None
            self.lost = f"{self.name} {told} before the interruption"
            if late:
                told += f" within {patience:g} s"
                where = inspect.where(member.outcome.pid, member.record)
                member.outcome.hung = f"it {told}: {where}"
                self.lost = f"{self.name} {told}: {where}"
            raise ProcessLost(self.lost) from None
