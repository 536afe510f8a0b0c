"""The spool as one process has it open: its moves, and what it looks at before it takes a job.

A move is made under the lock (flock(2) on the journal, freed when its holder dies): first the line
in the journal, then the rename. Whoever takes the lock next and finds that the last line was not
followed by its rename makes it: the mover was killed in between.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from common.errors import KernelObjectError, ObjectVanished
from common.kernel import limits
from common.kernel.locks import flock
from common.kernel.spool import (
    ABORTED,
    AT_MOST_ONCE,
    HELD,
    INCOMING,
    LEGAL,
    PENDING,
    PROCESSING,
    STATES,
    VERBS,
)
from common.kernel.spool import entry as entries
from common.kernel.spool.door import Door
from common.kernel.spool.entry import Entry
from common.kernel.spool.journal import NAME, Journal, Line
from common.kernel.touch import At, Touch
from common.kernel.waits import Wait

# Who waits looks at least so often (s): a printer may have died, and nobody told.
LOOK = 1.0
READY, STOPPED, GONE = "ready", "stopped", "gone"


class Look(NamedTuple):
    """What a printer finds: the job that it has claimed now, or why it has none.

    ``due`` is when the next job that is held for a time is released (CLOCK_MONOTONIC ns, None:
    there is none), ``others`` whether another printer has a job, which may come back.
    """

    entry: Entry | None
    due: int | None = None
    others: bool = False

    @property
    def nothing_left(self) -> bool:
        """Whether no job is there, nor will come back by itself."""
        return self.entry is None and self.due is None and not self.others


class Spool:
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
        self._wait = wait
        self._tail = entries.own_tail()
        self._path = Path(address["path"])
        try:
            self._dir = os.open(address["path"], os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            self._journal = Journal(os.open(NAME, flags, dir_fd=self._dir), self._path)
        except OSError as error:
            raise ObjectVanished(f"the spool {address['path']}: {error.strerror}") from None
        self._lock = flock.attach(address["journal"], wait, "the spool")
        self._doors = [
            Door(address[key], what)
            for key, what in (("jobs", "a job in the spool"), ("news", "news of the spool"))
            if rings
        ]
        self._known: set[int] = set()

    # Jobs come

    def accept(self, item: int, body: dict[str, Any], priority: int, *, held: bool) -> bool:
        """Have a job on disk, and in the line; False when it is there already.

        It is durable when this returns. Steps: `spool` before it is written, `sync` before that
        is on the disk, `accept` before it is in the line. Raises ``MachineError`` for a full disk.
        """
        with self._holding():
            if self._knows(item):
                return False
        name = f"{INCOMING}/{item:x}"
        self._pass("spool")
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(name, flags, 0o600, dir_fd=self._dir)
            try:
                text = json.dumps(body).encode()
                while text:
                    text = text[os.write(fd, text) :]
                self._pass("sync")
                os.fsync(fd)
            finally:
                os.close(fd)
        except OSError as error:
            raise limits.refusal("file", str(error), self._path) from None
        self._pass("accept")
        with self._holding():
            if self._knows(item):
                return False
            rank = entries.rank_of(priority)
            target = Entry(HELD if held else PENDING, rank, self._end_of_line(), item)
            self._rename(name, target, "accepted", sync=True, pages=body.get("pages", 0))
        return True

    # Printers

    def claim(self) -> Look:
        """Take the first job in line, exclusively; what the dead left is put right before.

        With the promise `at_most_once` it is on the disk that the job was taken, before anything
        of it can be printed.
        """
        with self._holding():
            due, others = self._put_right()
            first = min(self.entries(PENDING), key=lambda each: each.place, default=None)
            if first is not None:
                sync = self.address["promise"] == AT_MOST_ONCE
                claims = first.claims + 1
                taken = self.move(
                    first, PROCESSING, "claimed", sync=sync, claims=claims, tail=self._tail
                )
                return Look(taken)
            self._door(0, shut=True)
            return Look(None, due, others)

    def finish(self, entry: Entry, state: str, why: str, **changes: Any) -> Entry | None:
        """Move a job on that this printer has; None when somebody canceled it meanwhile.

        ``back_off`` (s) holds it for a time only; ``last`` puts it behind all others.
        """
        with self._holding():
            if not self.has(entry):
                return None
            back_off, last = changes.pop("back_off", 0.0), changes.pop("last", False)
            if back_off:
                changes["tail"] = str(time.monotonic_ns() + round(back_off * 1e9))
            if last:
                changes["line"] = self._end_of_line()
            return self.move(entry, state, why, **changes)

    def has(self, entry: Entry) -> bool:
        """Tell whether a job still lies where it was."""
        try:
            os.stat(entry.path, dir_fd=self._dir)
        except FileNotFoundError:
            return False
        return True

    def await_jobs(self, look: Look) -> None:
        """Wait until there may be a job, the time of a held one has come, or for LOOK seconds."""
        seconds = LOOK
        if look.due is not None:
            seconds = min(seconds, max(0.0, (look.due - time.monotonic_ns()) / 1e9))
        self._doors[0].stand(self._wait, seconds)

    def printer(self, state: str) -> None:
        """Say in the journal what this printer is; when it goes, the others look once more."""
        with self._holding():
            if state == GONE:
                self._door(0)
            line = {"printer": self.who, "is": state, "pid": os.getpid()}
            self._journal.append({**line, "at": time.monotonic_ns()})
            self._journal.settled()

    # People

    def change(self, item: int, verb: str) -> tuple[Entry, Entry]:
        """Hold, release or cancel a job; returns it before and after.

        Raises ``KernelObjectError`` when it is not in a state in which that goes.
        """
        state, possible = VERBS[verb]
        with self._holding():
            found = self.find(item)
            if found is None:
                raise KernelObjectError(f"there is no job {item:x} in the spool")
            if found.state not in possible:
                raise KernelObjectError(
                    f"job {item:x} is {found.state}: it cannot be {state}",
                    f"{verb} goes with jobs that are {' or '.join(possible)}",
                )
            return found, self.move(found, state, f"{verb} by {self.who}", sync=True)

    def find(self, item: int) -> Entry | None:
        """Return a job, whatever its state; None when it is not there. Under the lock only."""
        return next((each for each in self.entries(*STATES) if each.item == item), None)

    def look_up(self, item: int) -> dict[str, Any]:
        """Return what the file of a job holds; raises ``KernelObjectError`` when it holds none."""
        with self._holding():
            found = self.find(item)
            if found is None:
                raise KernelObjectError(f"there is no job {item:x} in the spool")
            return self.body(found)

    def every(self) -> list[Entry]:
        """Return all jobs as they are at one moment, the first in line first."""
        with self._holding():
            return sorted(self.entries(*STATES), key=lambda each: each.place)

    def look_for_news(self) -> list[Entry]:
        """Return all jobs, and shut the door of the news: whatever happens next opens it."""
        with self._holding():
            self._door(1, shut=True)
            return list(self.entries(*STATES))

    def await_news(self) -> None:
        """Wait until anything was moved since ``look_for_news``, or for LOOK seconds."""
        self._doors[1].stand(self._wait, LOOK)

    def body(self, entry: Entry) -> dict[str, Any]:
        """Return what a job's file holds; raises ``KernelObjectError`` when that is no job."""
        try:
            fd = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._dir)
            with os.fdopen(fd, "rb") as file:
                found = json.loads(file.read(1 << 16))
        except (OSError, ValueError) as error:
            raise KernelObjectError(f"{entry.path} in the spool is no job: {error!r}") from None
        if not isinstance(found, dict):
            raise KernelObjectError(f"{entry.path} in the spool is no job")
        return found

    def entries(self, *states: str) -> Iterator[Entry]:
        """Yield the jobs in some states, as they are now; whole under the lock only."""
        for state in states:
            fd = os.open(state, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._dir)
            try:
                found = os.listdir(fd)  # noqa: PTH208
            finally:
                os.close(fd)
            yield from filter(None, (entries.parse(f"{state}/{name}") for name in found))

    def abandon(self) -> None:
        """Let go of the lock, wherever this process stands."""
        self._lock.abandon()

    def close(self) -> None:
        """Close everything."""
        self._lock.close()
        self._journal.close()
        os.close(self._dir)

    # Moves, under the lock

    def move(self, entry: Entry, state: str, why: str, *, sync: bool = False, **to: Any) -> Entry:
        """Move a job to another state; the caller holds the lock. Returns where it lies now.

        Raises ``KernelObjectError`` for a transition that is none of RFC 8011's.
        """
        target = entry._replace(**{"state": state, "tail": "", **to})
        if state not in LEGAL[entry.state]:
            raise KernelObjectError(f"job {entry.item:x} is {entry.state}: it cannot be {state}")
        self._rename(entry.path, target, why, sync=sync)
        return target

    def _rename(self, path: str, target: Entry, why: str, *, sync: bool, **more: Any) -> None:
        if target.state == PENDING:
            # Before the job is there: whoever is killed in between has only made others look.
            self._door(0)
        self._door(1)
        line = {"job": target.item, "from": path, "to": target.path, "who": self.who, "why": why}
        self._journal.append({**line, "at": time.monotonic_ns(), **more})
        if sync:
            self._journal.sync()
        self._pass("move")
        try:
            os.rename(path, target.path, src_dir_fd=self._dir, dst_dir_fd=self._dir)
        except FileNotFoundError:
            raise ObjectVanished(f"{path} is gone from the spool: somebody removed it") from None
        if sync:
            self._sync_directory(target.state)
        self._journal.settled()

    @contextmanager
    def _holding(self) -> Iterator[None]:
        self._lock.acquire()
        try:
            status = os.stat(NAME, dir_fd=self._dir)
            if status.st_ino != self._journal.inode:
                raise ObjectVanished("the spool has another journal by now: another run has it")
            last = self._journal.last()
            if last is not None:
                self._redo(last)
            yield
        finally:
            self._lock.release()

    def _redo(self, line: Line) -> None:
        """Make the last move of the journal, if whoever wrote it was killed before it did."""
        redo(self._dir, line)
        self._journal.settled()

    def _put_right(self) -> tuple[int | None, bool]:
        """Move what the dead had, and what was held until now; return what Look tells of both."""
        others = False
        for each in list(self.entries(PROCESSING)):
            if each.tail == self._tail or not entries.dead(each.tail):
                others |= each.tail != self._tail
            elif self.address["promise"] == AT_MOST_ONCE:
                reason = f"its printer {each.tail} died: what was printed is not known"
                self.move(each, ABORTED, reason)
            else:
                self.move(each, PENDING, f"its printer {each.tail} died")
        due: list[int] = []
        for each in [held for held in self.entries(HELD) if held.tail]:
            if int(each.tail) <= time.monotonic_ns():
                self.move(each, PENDING, "its time has come")
            else:
                due.append(int(each.tail))
        return min(due, default=None), others

    def _knows(self, item: int) -> bool:
        self._known.update(int(line["job"]) for line in self._journal.news() if "job" in line)
        return item in self._known

    def _end_of_line(self) -> int:
        base: int = self.address["base"]
        return base + self._journal.size

    def _door(self, which: int, *, shut: bool = False) -> None:
        for door in self._doors[which : which + 1]:
            door.shut() if shut else door.open()

    def _sync_directory(self, state: str) -> None:
        fd = os.open(state, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._dir)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def _pass(self, step: str) -> None:
        if self._at is not None:
            self._at(step, self.touch)


def redo(directory: int, line: Line) -> None:
    """Make the move that a journal's last line tells of, if it was not made."""
    if "to" not in line or not line["from"]:
        return
    try:
        os.stat(line["to"], dir_fd=directory)
    except FileNotFoundError:
        try:
            os.rename(line["from"], line["to"], src_dir_fd=directory, dst_dir_fd=directory)
        except FileNotFoundError:
            # Neither is there: somebody took the file away, which the verdict tells of.
            return
