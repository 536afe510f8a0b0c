"""Starts programs that are not ours, and waits for what they are to make.

A plain program knows nothing of the lab: a child of ours stands at the gate in its place, and then
becomes it (execve(2): the pid stays). A recorded one is started at once and speaks for itself.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import resource
import shlex
import signal
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.errors import LabError
from common.history import record
from common.kernel import survivors
from common.kernel.waits import Wait
from common.process import gate, spawn, telling
from common.process.reports import Reporter
from common.scenario.groups import PLAIN, RECORDED

if TYPE_CHECKING:
    from common.process.members import Member

# The largest file that a program may write (bytes): what it prints must not fill the disk.
LARGEST_FILE = 64 << 20
# What a shell says of a program that cannot be started.
NOT_STARTED = 127
# Python ignores these, and an ignored signal stays so across execve(2).
_RESTORED = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_REASONS = {
    errno.ENOEXEC: "it is neither a binary of this machine nor a script that begins with #!",
    errno.ENOENT: "its interpreter (#!) or its loader is missing: file, or ldd",
    errno.EACCES: "chmod +x, or the file system is mounted noexec",
    errno.ETXTBSY: "somebody is still writing it",
    errno.E2BIG: "its arguments and its environment are too large",
}


class Started:
    """A program that was started: its ``pid``, and the pipe into which its lines go, or -1."""

    def __init__(self, pid: int, feed: int = -1, lines: str = "") -> None:
        self.pid = pid
        self._feed = feed
        self._lines = lines

    def feed(self) -> None:
        """Give a program its lines that was started before the gate opened, and end its input."""
        if self._feed >= 0:
            with contextlib.suppress(BrokenPipeError):
                os.write(self._feed, self._lines.encode())
            self.close()

    def close(self) -> None:
        """End its input."""
        if self._feed >= 0:
            os.close(self._feed)
        self._feed = -1


def start(job: dict[str, Any], stderr: int, directory: Path, *, first: bool = False) -> Started:
    """Start the program of ``job``; returns it.

    ``first``: it makes what the others need, so that it does not wait for the gate; its lines come
    when the gate opens. Raises ``MachineError``, and ``UsageError`` for an argument that asks for
    a variable that there is not.
    """
    program = job["program"]
    told = telling.environment(job)
    words = telling.words(job, told)
    environment = {**survivors.environment(directory), **told}
    reading, feed, lines = _standard_input(job, first)
    launcher = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        pid = spawn.fork_off(job["name"])
    except BaseException:
        os.close(reading)
        if feed >= 0:
            os.close(feed)
        raise
    if pid:
        os.close(reading)
        return Started(pid, feed, lines)
    status = NOT_STARTED
    try:
        kept = fcntl.fcntl(reading, fcntl.F_DUPFD_CLOEXEC, 3)
        spawn.settle(launcher, stderr, [kept])
        os.dup2(kept, 0)
        os.close(kept)
        _become(job, words, environment, waits=program["level"] == PLAIN and not first)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


def lacking(member: Member) -> str:
    """Return what a recorded program left out of its start; "" where there is nothing to say."""
    outcome = member.outcome
    if outcome.error is not None:
        return f"; {outcome.error['message']}"
    if outcome.level != RECORDED or outcome.phase != "start":
        return ""
    if member.connection is None:
        return (
            "; it never connected to LAB_REPORT (SOCK_SEQPACKET): a program that knows nothing of "
            "the lab is `level: plain`"
        )
    if not member.record.exists():
        return '; it connected, but made no LAB_RECORD and did not say {"type":"ready"}'
    return '; it connected and has its history, but never said {"type":"ready"}'


def _standard_input(job: dict[str, Any], first: bool) -> tuple[int, int, str]:
    """Return a descriptor to read, and where there is one the pipe to write the lines into."""
    lines = job["program"]["lines"]
    if not lines:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), -1, ""
    if first:
        reading, feed = os.pipe2(os.O_CLOEXEC)
        # All of them at once, so that the launcher never waits for a program to read.
        if len(lines) > fcntl.fcntl(feed, fcntl.F_GETPIPE_SZ):
            fcntl.fcntl(feed, fcntl.F_SETPIPE_SZ, len(lines))
        return reading, feed, lines
    path = Path(job["run"], f"{job['name']}.in")
    path.write_text(lines)
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC), -1, ""


def _become(
    job: dict[str, Any], words: list[str], environment: dict[str, str], *, waits: bool
) -> None:
    # In the child. The report's connection is closed by execve(2).
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    reporter = None
    try:
        if waits:
            reporter = Reporter(job["report"])
        output = os.open(Path(job["run"], f"{job['name']}.out"), flags, 0o600)
        os.dup2(output, 1)
        os.close(output)
        os.chdir(job["program"]["directory"])
        if reporter is not None:
            reporter.send("ready")
            gate.pass_through(job["addresses"]["gate"], Wait(job["start_s"]))
        most = max(LARGEST_FILE, (job["capacity"] + 1) * record.RECORD_SIZE * 2)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for number in _RESTORED:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.execve(words[0], words, environment)
    except (LabError, OSError) as error:
        if reporter is None:
            reporter = Reporter(job["report"])
        reporter.send("error", kind="ProcessError", message=_refused(words[0], error))


def _refused(program: str, error: Exception) -> str:
    if not isinstance(error, OSError):
        return str(error)
    reason = _REASONS.get(error.errno or 0, "")
    hint = f" ({reason})" if reason else ""
    return f"cannot start {shlex.quote(program)}: {error.strerror}{hint}"
