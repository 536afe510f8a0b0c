"""Does a piece of work in a process of its own, with a deadline, and leaves nothing of it behind.

What the work starts may loop, fork, or leave its session: as a subreaper (prctl(2)) the grader
becomes the parent of whatever loses its own, so it can find and end all of it.
"""

from __future__ import annotations

import contextlib
import errno
import hmac
import json
import os
import resource
import secrets
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
# How long a process that has told its result may take to be gone (s).
ENDING = 10.0
# Of the key, and of what is signed with it (SHA-256), in bytes.
KEY_SIZE = 32
# What this machine has not enough of: no submission's fault.
SHORTAGES = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
# Fields of /proc/pid/stat after the command (proc(5)).
_STATE, _PARENT = 0, 1


class GraderFailed(MachineError):
    """The grader or this machine failed: it says nothing about the submission."""

    def __init__(self, message: str) -> None:
        super().__init__(f"the grader failed: {message}", "no points are given, nor taken")


class Ended(GraderFailed):
    """The process that judged was ended, or somebody else spoke in its place.

    Where a submission ran meanwhile it is its deed: nobody else was there.
    """


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

    Raises ``Wrong`` when it raised an error of the lab or the system, ``Ended`` when the child did
    not come to say so, and ``GraderFailed`` when it failed in any other way. Nothing that it
    started lives on, none of its objects is left.
    """
    # Whoever finds the pipe in /proc can write into it; only this process and its child can sign.
    key = bytearray(secrets.token_bytes(KEY_SIZE))
    memory = _memory_kills()
    reading, writing = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if not pid:
        os.close(reading)
        _perform(work, writing, key, parent)
    os.close(writing)
    said = None
    try:
        said = _heard(reading, pid, time.monotonic() + seconds)
    finally:
        os.close(reading)
        # Who has spoken ends by itself: its status says whether nobody else ended it.
        status = _status(pid, 0.0 if said is None else ENDING)
        end_all()
        _clean(pid)
    if said is None:
        raise GraderFailed(f"judging did not come to its end within {seconds:g} s")
    document = _signed(said, key) if status == 0 else None
    if document is None:
        how = f"signal {-status} ended it" if status < 0 else f"it ended with status {status}"
        if status < 0 and _memory_kills() != memory:
            raise GraderFailed(f"judging came to nothing: {how}, this machine's memory ran out")
        raise Ended(f"judging came to nothing: {how if status else 'its words were not its own'}")
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


def _perform(work: Callable[[], Document], writing: int, key: bytearray, parent: int) -> None:
    # In a child: never returns.
    said: Document
    try:
        os.setsid()
        libc.prctl_die_with_parent(signal.SIGKILL, parent)
        # No submission of the same user looks into this process; the lab's own processes, forks
        # of it, are as others are, and know no key.
        libc.prctl_dumpable(False)
        os.register_at_fork(after_in_child=lambda: _forget(writing, key))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(nowhere, fd)
        limit()
        said = {"done": work()}
    except LabError as error:
        said = {"kind": type(error).__name__, "message": str(error)}
    except OSError as error:
        said = {"kind": "OSError", "message": str(error)}
        if error.errno in SHORTAGES:
            said = {"failed": f"OSError: {error}"}
    except BaseException as error:
        said = {"failed": f"{type(error).__name__}: {error}"}
        if os.environ.get("LAB_DEBUG"):
            said["failed"] += "\n" + traceback.format_exc()
    body = json.dumps(said).encode()
    data = hmac.digest(key, body, "sha256") + body
    while data:
        data = data[os.write(writing, data) :]
    os._exit(0)


def _forget(writing: int, key: bytearray) -> None:
    key[:] = bytes(len(key))
    with contextlib.suppress(OSError):
        os.close(writing)
    libc.prctl_dumpable(True)


def _signed(said: bytes, key: bytearray) -> Document | None:
    """Return the document that was signed with ``key``; None when it was not."""
    signature, body = said[:KEY_SIZE], said[KEY_SIZE:]
    if not hmac.compare_digest(signature, hmac.digest(key, body, "sha256")):
        return None
    document: Document = json.loads(body)
    return document


def _status(pid: int, seconds: float) -> int:
    """Return how the child ended; it is killed when it has not within ``seconds``."""
    end = time.monotonic() + seconds
    ended, status = os.waitpid(pid, os.WNOHANG)
    if not ended and seconds:
        watched = os.pidfd_open(pid)
        # Not select(2), which takes no descriptor above 1023.
        poll = select.poll()
        poll.register(watched, select.POLLIN)
        poll.poll(max(0.0, end - time.monotonic()) * 1000)
        os.close(watched)
        ended, status = os.waitpid(pid, os.WNOHANG)
    if not ended:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
    return os.waitstatus_to_exitcode(status)


def _memory_kills() -> int:
    """Return how often the kernel has ended a process because memory had run out (proc(5))."""
    for line in Path("/proc/vmstat").read_text().splitlines():
        if line.startswith("oom_kill "):
            return int(line.split()[1])
    return 0


def _heard(reading: int, pid: int, end: float) -> bytes | None:
    """Return all that comes until the pipe is closed, or its owner ends; None when ``end`` comes.

    Somebody else may have opened the pipe too, and keep it open, or write without end.
    """
    said = b""
    os.set_blocking(reading, False)
    child = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(reading, select.POLLIN)
        poll.register(child, select.POLLIN)
        while found := poll.poll(max(0.0, end - time.monotonic()) * 1000):
            try:
                more = os.read(reading, 1 << 16)
            except BlockingIOError:
                if child in dict(found):
                    return said
                continue
            said += more
            if not more or len(said) > LARGEST_FILE:
                return said
        return None
    finally:
        os.close(child)


def _clean(pid: int) -> None:
    # What it could not remove itself, having been killed.
    for directory in names.runtime_directories():
        if names.maker_pid(directory) == pid:
            with contextlib.suppress(StoredRunError):
                remove_dead(read_ledger(directory))
            shutil.rmtree(directory, ignore_errors=True)
