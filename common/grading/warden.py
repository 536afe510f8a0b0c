"""Does a piece of work in a process of its own, with a deadline, and leaves nothing of it behind.

What the work starts may loop, fork, or leave its session: as a subreaper (prctl(2)) the grader
becomes the parent of whatever loses its own, so it can find and end all of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import shutil
import signal
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import names
from common.errors import LabError, MachineError, StoredRunError
from common.kernel import libc
from common.kernel.ledger import read_ledger
from common.kernel.leftovers import remove_dead

Document = dict[str, Any]

# What one process may write into one file, in bytes: SIGXFSZ ends whoever writes more.
LARGEST_FILE = 64 << 20
# How many processes of this user there may be beyond those that there are now.
MOST_PROCESSES = 512
# How long ending all that was started may take (s).
PATIENCE = 20.0
# Fields of /proc/pid/stat after the command (proc(5)).
_STATE, _PARENT = 0, 1


class GraderFailed(MachineError):
    """The grader or this machine failed: it says nothing about the submission."""

    def __init__(self, message: str) -> None:
        super().__init__(f"the grader failed: {message}", "no points are given, nor taken")


class Wrong(Exception):
    """The work raised an error of the lab: the name of its class, and its words."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


def adopt() -> None:
    """Become the parent of all descendants that lose theirs; once, before any work."""
    libc.prctl_adopt_orphans()


def alone(work: Callable[[], Document], seconds: float) -> Document:
    """Return what ``work`` returns, done in a child within ``seconds``.

    Raises ``Wrong`` when it raised an error of the lab and ``GraderFailed`` when it failed in any
    other way. Nothing that it started lives on, none of its objects is left.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reading)
        _perform(work, writing)
    os.close(writing)
    try:
        said = _heard(reading, time.monotonic() + seconds)
    finally:
        os.close(reading)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        end_all()
        _clean(pid)
    if said is None:
        raise GraderFailed(f"judging did not come to its end within {seconds:g} s")
    try:
        document: Document = json.loads(said)
    except ValueError:
        how = f"signal {-status} ended it" if status < 0 else f"it ended with status {status}"
        raise GraderFailed(f"judging came to nothing: {how}") from None
    if "failed" in document:
        raise GraderFailed(f"judging failed: {document['failed']}")
    if "kind" in document:
        raise Wrong(document["kind"], document["message"])
    done: Document = document["done"]
    return done


def limit() -> None:
    """Bound what this process and all that it starts may write and fork."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _lower(resource.RLIMIT_FSIZE, LARGEST_FILE)
    # The kernel counts all processes of a user, and never those of root.
    _lower(resource.RLIMIT_NPROC, len(_of_this_user()) + MOST_PROCESSES)


def end_all() -> None:
    """End every descendant of this process; raises ``GraderFailed`` when one cannot be ended."""
    until = time.monotonic() + PATIENCE
    stopped: set[int] = set()
    while found := _descendants(os.getpid()):
        if time.monotonic() > until:
            raise GraderFailed(f"processes of the submission could not be ended: {found[:8]}")
        fresh = [pid for pid in found if pid not in stopped]
        # Stopped first: while one is killed another could fork. Who is stopped cannot.
        for pid in fresh:
            _send(pid, signal.SIGSTOP)
        stopped.update(fresh)
        if not fresh:
            for pid in found:
                _send(pid, signal.SIGKILL)
            stopped.clear()
        _reap()
    _reap()


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _descendants(root: int) -> list[int]:
    """Return the pids of all living descendants of ``root``."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            # The command is in parentheses and may hold blanks and parentheses itself.
            fields = (path / "stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue
        if fields[_STATE] not in b"ZXx":
            children.setdefault(int(fields[_PARENT]), []).append(int(path.name))
    found, open_ends = [], [root]
    while open_ends:
        mine = children.get(open_ends.pop(), [])
        found += mine
        open_ends += mine
    return found


def _of_this_user() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if path.stat().st_uid == os.getuid():
                found += [each.name for each in (path / "task").iterdir()]
    return found


def _lower(which: int, most: int) -> None:
    soft, hard = resource.getrlimit(which)
    least = min(value for value in (soft, hard, most) if value != resource.RLIM_INFINITY)
    resource.setrlimit(which, (least, least))


def _perform(work: Callable[[], Document], writing: int) -> None:
    # In a child: never returns.
    said: Document
    try:
        os.setsid()
        libc.prctl_die_with_parent(signal.SIGKILL)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(nowhere, fd)
        limit()
        said = {"done": work()}
    except LabError as error:
        said = {"kind": type(error).__name__, "message": str(error)}
    except BaseException as error:
        said = {"failed": f"{type(error).__name__}: {error}"}
        if os.environ.get("LAB_DEBUG"):
            said["failed"] += "\n" + traceback.format_exc()
    data = json.dumps(said).encode()
    while data:
        data = data[os.write(writing, data) :]
    os._exit(0)


def _heard(reading: int, end: float) -> bytes | None:
    """Return all that comes until the pipe is closed; None when ``end`` comes before."""
    said = b""
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    while poll.poll(max(0.0, end - time.monotonic()) * 1000):
        more = os.read(reading, 1 << 16)
        if not more:
            return said
        said += more
    return None


def _clean(pid: int) -> None:
    # What it could not remove itself, having been killed.
    for directory in names.runtime_directories():
        if names.maker_pid(directory) == pid:
            with contextlib.suppress(StoredRunError):
                remove_dead(read_ledger(directory))
            shutil.rmtree(directory, ignore_errors=True)
