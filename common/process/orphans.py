"""Who a run's programs left to the launcher: whatever a process starts, it has a parent.

A program can leave its session, empty its environment and close its descriptors (daemon(7)): then
nothing that it shows says whose it is. But whoever loses its parent becomes the child of the
nearest subreaper above it (prctl(2), PR_SET_CHILD_SUBREAPER), and that is the launcher, as long as
a run lasts.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from common import names
from common.kernel import libc, survivors
from common.kernel.ledger import Ledger
from common.names import Standing

# How long to go on ending those that start others as fast as they are ended (s).
PATIENCE = 5.0
# The list of children may leave one out while another ends (proc(5)): it is read again.
EMPTY = 2


class Orphans:
    """The orphans of one run, from here to ``close``; ``seen`` are the pids of all that came.

    Children that this process had before are none of them.
    """

    def __init__(self) -> None:
        self.seen: set[int] = set()
        self._before = {each.pid: each.start for each in _children()}
        self._adopted = libc.prctl_adopt_orphans(True)

    def close(self) -> None:
        """Adopt nobody any more, unless it was so before."""
        libc.prctl_adopt_orphans(self._adopted)

    def reap(self, ledger: Ledger) -> None:
        """Let those go that have ended: a zombie counts among the processes of its user."""
        if not ledger.foreign:
            return
        for pid in _pids():
            if pid not in ledger.sessions and pid not in self._before:
                self._reap(pid)

    def end(self, ledger: Ledger) -> list[str]:
        """End all who are left, and whom they start meanwhile; returns a sentence for each.

        What is still in the session of a process of the run was told of when that one ended. Where
        this process had children before, an orphan may be one of theirs: without another proof
        that it is of the run it is left alone.
        """
        said = survivors.end_strays(ledger)
        # Whose leader is a living child of ours (a command's shell) ends with that one.
        living = {each.pid for each in _children()} & ledger.sessions.keys()
        doubtful: dict[int, str] = {}
        told: set[int] = set()
        deadline = time.monotonic() + PATIENCE
        empty = 0
        while empty < EMPTY:
            left = [
                orphan
                for orphan in self._left(ledger)
                if orphan.pid not in doubtful and orphan.session not in living
            ]
            empty = 0 if left else empty + 1
            if time.monotonic() > deadline:
                said += [f"could not end process {each.pid}, {_WHO}" for each in left]
                break
            for orphan in left:
                if self._before and not _proven(orphan, ledger):
                    doubtful[orphan.pid] = (
                        f"process {orphan.pid} became a child of the launcher during the run: it "
                        "may come from a program of it, and may not: it was not touched"
                    )
                elif not orphan.zombie:
                    _kill(orphan)
                    if orphan.session not in ledger.sessions and orphan.pid not in told:
                        told.add(orphan.pid)
                        said.append(f"ended process {orphan.pid}, {_WHO}")
                if orphan.pid not in doubtful:
                    self._reap(orphan.pid)
        return said + list(doubtful.values())

    def _left(self, ledger: Ledger) -> list[Standing]:
        """Return the children, zombies too, that nobody here started."""
        return [
            child
            for child in _children()
            if self._before.get(child.pid) != child.start
            and ledger.sessions.get(child.pid, -1) not in (child.start, 0)
        ]

    def _reap(self, pid: int) -> None:
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG)[0]:
                self.seen.add(pid)


_WHO = "which a program of this run had left"


def _children() -> list[Standing]:
    """Return all children of this process, those that have ended too."""
    standing = (names.standing(pid) for pid in _pids())
    return [child for child in standing if child is not None]


def _pids() -> list[int]:
    # A thread's own: an orphan is given to any of them.
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path("/proc/self/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def _kill(orphan: Standing) -> None:
    # A child that has not been reaped keeps its number, and so does its group. The group first:
    # whoever forks in it at this moment does not get away (fork(2) gives way to a signal).
    with contextlib.suppress(OSError):
        group = os.getpgid(orphan.pid)
        if group != os.getpgrp():
            os.killpg(group, signal.SIGKILL)
    with contextlib.suppress(OSError):
        os.kill(orphan.pid, signal.SIGKILL)


def _proven(orphan: Standing, ledger: Ledger) -> bool:
    return orphan.session in ledger.sessions or survivors.of_run(orphan.pid, ledger.directory)
