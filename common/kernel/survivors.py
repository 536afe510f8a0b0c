"""Processes that outlive their run: which are proven to be of it, and how they are ended.

Whoever has a child killed does not reach what that child started: it goes on in its group, or in a
session of its own (setsid(2)). Nobody is ended by name. What proves a process to be of a run is

- its pid and start time, that the ledger has;
- its session, whose leader is such a process and has not been reaped;
- its environment (proc(5)): it was started with ``MARK`` set to that run's runtime directory, a
  name that is drawn for each run.

and that all its user ids are ours, and that it is no older than its launcher.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from common import names
from common.kernel.ledger import Ledger, LedgerState
from common.names import Standing

# What each process that a run starts finds in its environment, and hands on to its own.
MARK = "LAB_RUNTIME"
# How long to wait for the end of those that were killed (s).
PATIENCE = 2.0
# A process may start another while the list is read: it is found in the next round.
ROUNDS = 20
# In the middle of an execve(2) it has no environment: looked at again, but not for ever.
LOOKS = 50


@dataclass(frozen=True)
class Survivor:
    """A process of a run that still lives; ``of`` is the process of the ledger it comes from."""

    pid: int
    start: int
    of: str


def of_dead(state: LedgerState) -> tuple[list[Survivor], list[str]]:
    """Return who is left of a dead run, and a sentence for each process that may be of it.

    The latter's session has the number of one of the run's, whose leader is gone: the number may
    have been given again since, and so it is left alone.
    """
    header = state.header
    if state.alive or header.boot != names.boot_id():
        return [], []
    recorded = {process.pid: process for process in state.processes}
    # As long as a process is there, be it as a zombie, its number is nobody else's.
    unreaped = {
        pid
        for pid, process in recorded.items()
        if (leader := names.standing(pid)) is not None and leader.start == process.start
    }
    mark = _mark(state.directory)
    left, doubtful = [], []
    for found in _ours(header.start):
        source = recorded.get(found.session)
        if found.session in unreaped or found.pid in unreaped:
            of = recorded[found.session if found.session in unreaped else found.pid].name
            left.append(Survivor(found.pid, found.start, of))
        elif _marked(found.pid, mark):
            left.append(Survivor(found.pid, found.start, source.name if source else "the run"))
        elif source is not None and found.start >= source.start:
            doubtful.append(
                f"process {found.pid} in session {found.session} may come from {source.name}, "
                "and may not: it was not touched"
            )
    return left, doubtful


def end_strays(ledger: Ledger) -> list[str]:
    """Kill who left the sessions of this process's own run; returns a sentence for each.

    Known by its environment. Only a program that is not ours starts others: without one nobody is
    looked for.
    """
    said: list[str] = []
    since = names.start_time(os.getpid()) or 0
    mark = _mark(ledger.directory)
    for _ in range(ROUNDS if ledger.foreign else 0):
        left = [
            Survivor(found.pid, found.start, "a program of this run")
            for found in _ours(since)
            if found.session not in ledger.sessions and _marked(found.pid, mark)
        ]
        if not left:
            break
        said += end(left)
    return said


def end_dead(state: LedgerState) -> list[str]:
    """Kill all that is left of a dead run; returns one sentence for each process."""
    said: list[str] = []
    for _ in range(ROUNDS):
        left, doubtful = of_dead(state)
        if not left:
            return said + doubtful
        said += end(left)
    return said


def end(survivors: list[Survivor]) -> list[str]:
    """Kill these, and wait until they are gone; returns a sentence for each that was killed."""
    said, waiting = [], []
    for survivor in survivors:
        with contextlib.suppress(ProcessLookupError):
            # The descriptor is of one process for ever; then it is looked whether it is this one.
            pidfd = os.pidfd_open(survivor.pid)
            if names.start_time(survivor.pid) != survivor.start:
                os.close(pidfd)
                continue
            waiting.append(pidfd)
            said.append(f"ended process {survivor.pid}, which {survivor.of} had left")
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE
    for pidfd in waiting:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
        os.close(pidfd)
    return said


def of_run(pid: int, directory: Path) -> bool:
    """Tell whether a process has the mark of the run of this directory in its environment."""
    return _marked(pid, _mark(directory))


def environment(directory: Path) -> dict[str, str]:
    """Return this process's environment with the mark of the run of this directory."""
    return {**os.environ, MARK: str(directory)}


def _ours(since: int) -> Iterator[Standing]:
    """Yield every other living process of this user that started at ``since`` or later."""
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            found = names.standing(int(entry.name))
            if found is None or found.zombie or found.start < since:
                continue
            if _is_ours(found.pid):
                yield found


def _is_ours(pid: int) -> bool:
    # Not the owner of /proc/pid: that is root's where a process may not be looked into.
    for line in Path(f"/proc/{pid}/status").read_bytes().splitlines():
        if line.startswith(b"Uid:"):
            return set(map(int, line.split()[1:])) == {os.geteuid()}
    return False


def _mark(directory: Path) -> bytes:
    return os.fsencode(f"{MARK}={directory}")


def _marked(pid: int, mark: bytes) -> bool:
    with contextlib.suppress(OSError):
        for _ in range(LOOKS):
            environment = Path(f"/proc/{pid}/environ").read_bytes()
            if environment:
                return mark in environment.split(b"\0")
            os.sched_yield()
    return False
