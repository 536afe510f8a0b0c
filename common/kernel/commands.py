"""A shell command beside a run: started as popen(3) does; its shell ends with the launcher.

What the command itself leaves in the background is ended with its process group where the run comes
to its end, and what left that group by what it has in its environment (``survivors``).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from common.errors import MachineError
from common.kernel import libc

SHELL = "/bin/sh"
# How long to wait for the end of those that were killed (s): they may be reaped by another.
_GONE = 0.5
# What the shell itself answers when there is no such command.
_NOT_FOUND = 127
# The exit code, field 52 of /proc/pid/stat, counted from the state, field 3 (proc(5)).
_STATE, _EXIT_CODE = 0, 49


def start(
    command: str, stdin: int, stdout: int, environment: Mapping[str, str] | None = None
) -> int:
    """Start ``sh -c command`` between two descriptors; returns its pid.

    ``environment`` is this process's own where none is given.

    It leads a session of its own, and is killed when the launcher ends, whatever ends it. Nothing
    else is inherited but standard error. Raises ``MachineError`` when there is no room for it.
    """
    launcher = os.getpid()
    try:
        pid = os.fork()
    except OSError as error:
        raise MachineError(
            f"cannot start {command!r}: {error.strerror}", "see ulimit -u and kernel.pid_max"
        ) from None
    if pid:
        return pid
    try:
        signal.set_wakeup_fd(-1)
        os.setsid()
        libc.prctl_die_with_parent(signal.SIGKILL, launcher)
        _become(command, stdin, stdout, os.environ if environment is None else environment)
    finally:
        os._exit(_NOT_FOUND)


def _become(command: str, stdin: int, stdout: int, environment: Mapping[str, str]) -> None:
    # Ignored signals would stay ignored, and Python ignores SIGPIPE: `yes` would never end.
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    # Out of the way first: one of them may have the number of the other's place.
    ends = [fcntl.fcntl(fd, fcntl.F_DUPFD, 3) for fd in (stdin, stdout)]
    for place, fd in enumerate(ends):
        os.dup2(fd, place)
    os.closerange(3, 1 << 30)
    os.execve(SHELL, ["sh", "-c", command], environment)


def end(pid: int) -> None:
    """Kill the command with all that it started in its session's group, and reap it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    # It may not have come to its own group yet.
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)
    # What the shell had started is killed, too, and still has the pipes until it is gone.
    end = time.monotonic() + _GONE
    with contextlib.suppress(ProcessLookupError, PermissionError):
        while time.monotonic() < end:
            os.killpg(pid, 0)
            # As orphans they may have become this process's own: nobody else reaps them then.
            with contextlib.suppress(ChildProcessError):
                os.waitpid(-pid, os.WNOHANG)
            os.sched_yield()


def exit_status(pid: int) -> int | None:
    """Return how a command ended that the launcher has not reaped: its status, or minus its signal.

    None while it lives, and where nobody can tell any more. Any process of the same user may ask.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The command is in parentheses and may hold blanks and parentheses itself.
    fields = text.rpartition(")")[2].split()
    return os.waitstatus_to_exitcode(int(fields[_EXIT_CODE])) if fields[_STATE] == "Z" else None
