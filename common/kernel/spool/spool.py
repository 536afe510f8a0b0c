"""What is done with a spool: jobs are accepted, taken, moved on, and looked after by people."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Collection
from typing import Any, NamedTuple

from common.errors import KernelObjectError
from common.kernel import limits
from common.kernel.spool import (
    ABORTED,
    AT_MOST_ONCE,
    DONE,
    FINAL,
    HELD,
    INCOMING,
    PENDING,
    PROCESSING,
    PURGE,
    STATES,
    VERBS,
)
from common.kernel.spool import entry as entries
from common.kernel.spool.entry import Entry
from common.kernel.spool.moves import JOBS, NEWS, Moves
from common.kernel.touch import At
from common.kernel.waits import Wait

# Who waits looks at least so often (s): a printer may have died, and nobody told.
LOOK = 1.0
# Why a job is aborted whose file was damaged: with its reason behind it.
UNREADABLE = "its file cannot be read"
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


class Spool(Moves):
    """The spool as spoolers, printers and people use it."""

    def __init__(
        self, address: dict[str, Any], wait: Wait, who: str, at: At | None = None,
        *, rings: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(address, wait, who, at, rings=rings)
        self._known: set[int] = set()

    # Jobs come

    def accept(self, item: int, body: dict[str, Any], priority: int, *, held: bool) -> bool:
        """Have a job on disk, and in the line; False when it is there already.

        It is durable when this returns. Steps: `spool` before it is written, `sync` before that
        is on the disk, `accept` before it is in the line. Raises ``MachineError`` for a full disk.
        """
        with self.holding():
            if self._knows(item):
                self._have_on_disk(item)
                return False
        name = f"{INCOMING}/{item:x}"
        self.reach("spool")
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(name, flags, 0o600, dir_fd=self.directory)
            try:
                text = json.dumps(body).encode()
                while text:
                    text = text[os.write(fd, text) :]
                self.reach("sync")
                os.fsync(fd)
            finally:
                os.close(fd)
        except OSError as error:
            raise limits.refusal("file", str(error), self.path) from None
        self.reach("accept")
        with self.holding():
            if self._knows(item):
                self._have_on_disk(item)
                return False
            rank = entries.rank_of(priority)
            target = Entry(HELD if held else PENDING, rank, self.end_of_line(), item)
            self.rename(name, target, "accepted", sync=True, pages=body.get("pages", 0))
        return True

    # Printers

    def claim(self) -> Look:
        """Take the first job in line, exclusively; what the dead left is put right before.

        With the promise `at_most_once` it is on the disk that the job was taken, before anything
        of it can be printed.
        """
        with self.holding():
            due, others = self._put_right()
            first = min(self.entries(PENDING), key=lambda each: each.place, default=None)
            if first is not None:
                sync = self.address["promise"] == AT_MOST_ONCE
                claims = first.claims + 1
                taken = self.move(
                    first, PROCESSING, "claimed", sync=sync, claims=claims, tail=self.tail
                )
                return Look(taken)
            self.door(JOBS, shut=True)
            return Look(None, due, others)

    def finish(
        self, entry: Entry, state: str, why: str, *,
        back_off: float = 0.0, last: bool = False, status: int | None = None, **changes: Any,
    ) -> Entry | None:  # fmt: skip
        """Move a job on that this printer has; None when somebody canceled it meanwhile.

        ``back_off`` (s) holds it for a time only; ``last`` puts it behind all others; ``status``,
        with which a program ended that printed it, is written into the journal.
        """
        with self.holding():
            if not self.has(entry):
                return None
            facts = None if status is None else {"status": status}
            if back_off:
                changes["tail"] = str(time.monotonic_ns() + round(back_off * 1e9))
            if last:
                changes["line"] = self.end_of_line()
            return self.move(entry, state, why, facts=facts, **changes)

    def await_jobs(self, look: Look) -> None:
        """Wait until there may be a job, the time of a held one has come, or for LOOK seconds."""
        seconds = LOOK
        if look.due is not None:
            seconds = min(seconds, max(0.0, (look.due - time.monotonic_ns()) / 1e9))
        self.doors[JOBS].stand(self.wait, seconds)

    def printer(self, state: str) -> None:
        """Say in the journal what this printer is; when it goes, the others look once more."""
        with self.holding():
            if state == GONE:
                self.door(JOBS)
            line = {"printer": self.who, "is": state, "pid": os.getpid()}
            self.journal.append({**line, "at": time.monotonic_ns()})
            self.journal.settled()

    # People

    def change(self, item: int, verb: str) -> tuple[Entry, Entry]:
        """Hold, release or cancel a job; returns it before and after.

        Raises ``KernelObjectError`` when it is not in a state in which that goes.
        """
        state, possible = VERBS[verb]
        with self.holding():
            found = self.find(item)
            if found is None:
                raise KernelObjectError(f"there is no job {item:x} in the spool")
            if found.state not in possible:
                raise KernelObjectError(
                    f"{self.called(found)} is {found.state}: it cannot be {DONE[verb]}",
                    f"{verb} goes with jobs that are {' or '.join(possible)}",
                )
            return found, self.move(found, state, f"{verb} by {self.who}", sync=True)

    def purge(self, items: Collection[int]) -> list[Entry]:
        """Remove those of some jobs that are at their end; returns them as they were.

        Their names are not given again. The caller holds the spool (``making.hold``).
        """
        with self.holding():
            over = [each for each in self.entries(*FINAL) if each.item in items]
            for each in over:
                self.remove(each, f"{PURGE} by {self.who}")
            self.journal.sync()
            return over

    def look_up(self, item: int) -> dict[str, Any]:
        """Return what the file of a job holds; raises ``KernelObjectError`` when it holds none."""
        with self.holding():
            found = self.find(item)
            if found is None:
                raise KernelObjectError(f"there is no job {item:x} in the spool")
            return self.body(found)

    def every(self) -> list[Entry]:
        """Return all jobs as they are at one moment, the first in line first."""
        with self.holding():
            return sorted(self.entries(*STATES), key=lambda each: each.place)

    def look_for_news(self) -> list[Entry]:
        """Return all jobs, and shut the door of the news: whatever happens next opens it."""
        with self.holding():
            self.door(NEWS, shut=True)
            return list(self.entries(*STATES))

    def await_news(self) -> None:
        """Wait until anything was moved since ``look_for_news``, or for LOOK seconds."""
        self.doors[NEWS].stand(self.wait, LOOK)

    def _put_right(self) -> tuple[int | None, bool]:
        """Move what the dead had, and what was held until now; return what Look tells of both."""
        others = False
        for each in list(self.entries(PROCESSING)):
            if each.tail == self.tail or not entries.dead(each.tail):
                others |= each.tail != self.tail
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

    def _have_on_disk(self, item: int) -> None:
        # Whoever accepted it may have been killed before it was, and did not say so.
        self.journal.sync()
        found = self.find(item)
        if found is not None:
            self.sync_directory(found.state)

    def _knows(self, item: int) -> bool:
        self._known.update(int(line["job"]) for line in self.journal.news() if "job" in line)
        return item in self._known
