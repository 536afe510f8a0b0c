"""Moves of jobs in a spool: under its lock, first in the journal, then by a rename.

Whoever takes the lock (flock(2) on the journal, freed when its holder dies) and finds that the last
line was not followed by its rename makes it: the mover was killed in between.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from common.errors import KernelObjectError, ObjectVanished
from common.kernel.locks import flock
from common.kernel.spool import LEGAL, PENDING, STATES
from common.kernel.spool import entry as entries
from common.kernel.spool.door import Door
from common.kernel.spool.entry import Entry
from common.kernel.spool.journal import NAME, Journal, Line
from common.kernel.touch import At, Touch
from common.kernel.waits import Wait

# By their place in the address: what one waits for before them.
JOBS, NEWS = "jobs", "news"
DOORS = {JOBS: "a job in the spool", NEWS: "news of the spool"}


class Moves:
    """One process's hold on the spool at ``address`` (:func:`common.kernel.spool.making.make`).

    ``who`` is the name that the journal shows; ``at`` the step hook, which is called at ``move``
    between each line and its rename; ``rings`` is False where no run is alive that could wait.
    """

    def __init__(
        self, address: dict[str, Any], wait: Wait, who: str, at: At | None = None,
        *, rings: bool = True,
    ) -> None:  # fmt: skip
        self.address = address
        self.who = who
        self.touch = Touch(changes=("the spool",))
        self._at = at
        self.wait = wait
        self.tail = entries.own_tail()
        self.path = Path(address["path"])
        try:
            self.directory = os.open(address["path"], os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            self.journal = Journal(os.open(NAME, flags, dir_fd=self.directory), self.path)
        except OSError as error:
            raise ObjectVanished(f"the spool {address['path']}: {error.strerror}") from None
        self._lock = flock.attach(address["journal"], wait, "the spool")
        self.doors = {which: Door(address[which], what) for which, what in DOORS.items() if rings}

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Hold the lock; whatever the last holder did not come to do has been done.

        Raises ``ObjectVanished`` when another run has taken the spool over, and ``WaitExpired``.
        """
        self._lock.acquire()
        try:
            status = os.stat(NAME, dir_fd=self.directory)
            if status.st_ino != self.journal.inode:
                raise ObjectVanished("the spool has another journal by now: another run has it")
            last = self.journal.last()
            if last is not None:
                self._redo(last)
            yield
        finally:
            self._lock.release()

    def _redo(self, line: Line) -> None:
        """Make the last move of the journal, if whoever wrote it was killed before it did."""
        redo(self.directory, line)
        self.journal.settled()

    def move(
        self, entry: Entry, state: str, why: str, *, sync: bool = False,
        facts: Mapping[str, Any] | None = None, **to: Any,
    ) -> Entry:  # fmt: skip
        """Move a job to another state; the caller holds the lock. Returns where it lies now.

        ``facts`` stand in its line of the journal. Raises ``KernelObjectError`` for a transition
        that is none of RFC 8011's.
        """
        target = entry._replace(**{"state": state, "tail": "", **to})
        if state not in LEGAL[entry.state]:
            raise KernelObjectError(f"{self.called(entry)} is {entry.state}: it cannot be {state}")
        self.rename(entry.path, target, why, sync=sync, **(facts or {}))
        return target

    def rename(self, path: str, target: Entry, why: str, *, sync: bool, **more: Any) -> None:
        """Write a move into the journal, with ``more`` facts, and make it; under the lock.

        With ``sync`` it is on the disk when this returns.
        """
        if target.state == PENDING:
            # Before the job is there: whoever is killed in between has only made others look.
            self.door(JOBS)
        self.door(NEWS)
        line = {"job": target.item, "from": path, "to": target.path, "who": self.who, "why": why}
        self.journal.append({**line, "at": time.monotonic_ns(), **more})
        if sync:
            self.journal.sync()
        self.reach("move")
        try:
            os.rename(path, target.path, src_dir_fd=self.directory, dst_dir_fd=self.directory)
        except FileNotFoundError:
            raise ObjectVanished(f"{path} is gone from the spool: somebody removed it") from None
        if sync:
            self.sync_directory(target.state)
        self.journal.settled()

    def find(self, item: int) -> Entry | None:
        """Return a job, whatever its state; None when it is not there. Under the lock only."""
        return next((each for each in self.entries(*STATES) if each.item == item), None)

    def entries(self, *states: str) -> Iterator[Entry]:
        """Yield the jobs in some states, as they are now; whole under the lock only."""
        for state in states:
            fd = os.open(state, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.directory)
            try:
                found = os.listdir(fd)  # noqa: PTH208
            finally:
                os.close(fd)
            yield from filter(None, (entries.parse(f"{state}/{name}") for name in found))

    def has(self, entry: Entry) -> bool:
        """Tell whether a job still lies where it was."""
        try:
            os.stat(entry.path, dir_fd=self.directory)
        except FileNotFoundError:
            return False
        return True

    def body(self, entry: Entry) -> dict[str, Any]:
        """Return what a job's file holds; raises ``KernelObjectError`` when that is no job."""
        try:
            fd = os.open(
                entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.directory
            )
            with os.fdopen(fd, "rb") as file:
                found = json.loads(file.read(1 << 16))
        except (OSError, ValueError) as error:
            raise KernelObjectError(f"{entry.path} in the spool is no job: {error!r}") from None
        if not isinstance(found, dict):
            raise KernelObjectError(f"{entry.path} in the spool is no job")
        return found

    def called(self, entry: Entry) -> str:
        """Return the name of a job for people: who made it, and its number there."""
        try:
            body = self.body(entry)
            return f"job {body['number']} of {body['owner']}"
        except (KernelObjectError, KeyError):
            return f"job {entry.item:x}"

    def remove(self, entry: Entry, why: str) -> None:
        """Take the file of a job away, written into the journal before; under the lock.

        Raises ``KernelObjectError`` for a job that is not at its end.
        """
        if LEGAL[entry.state]:
            raise KernelObjectError(f"{self.called(entry)} is {entry.state}: it is not over")
        line = {"job": entry.item, "from": entry.path, "to": "", "who": self.who, "why": why}
        self.journal.append({**line, "at": time.monotonic_ns()})
        self.reach("move")
        redo(self.directory, line)
        self.journal.settled()

    def end_of_line(self) -> int:
        """Return a place behind all that there are: the journal only grows."""
        base: int = self.address["base"]
        return base + self.journal.size

    def door(self, which: str, *, shut: bool = False) -> None:
        """Open one of the doors, or shut it, where anybody could wait before it."""
        if which in self.doors:
            self.doors[which].shut() if shut else self.doors[which].open()

    def sync_directory(self, state: str) -> None:
        """Have on the disk which jobs are in a state (fsync(2))."""
        fd = os.open(state, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.directory)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def reach(self, step: str) -> None:
        """Call the step hook."""
        if self._at is not None:
            self._at(step, self.touch)

    def abandon(self) -> None:
        """Let go of the lock, wherever this process stands."""
        self._lock.abandon()

    def close(self) -> None:
        """Close everything."""
        self._lock.close()
        self.journal.close()
        os.close(self.directory)


def redo(directory: int, line: Line) -> None:
    """Make the move or removal that a journal's last line tells of, if it was not made."""
    if "to" not in line or not line["from"]:
        return
    if not line["to"]:
        with suppress(FileNotFoundError):
            os.unlink(line["from"], dir_fd=directory)
        return
    try:
        os.stat(line["to"], dir_fd=directory)
    except FileNotFoundError:
        try:
            os.rename(line["from"], line["to"], src_dir_fd=directory, dst_dir_fd=directory)
        except FileNotFoundError:
            # Neither is there: somebody took the file away, which the verdict tells of.
            return
