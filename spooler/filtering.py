"""A program that prints: started for each job, it reads the pages and writes what is printed.

It is told what CUPS tells its filters (filter(7)), ``job-id user title copies options`` behind its
own arguments, and its exit status is that of a backend (backend(7)). Its standard error is that of
the run. It ends with the printer, whatever ends that, and whom it started ends with it.
"""

from __future__ import annotations

import os
import select
import shlex
import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

from common.errors import ProcessError
from common.kernel import commands, libc, limits
from common.kernel.spool import FAILED, STATUSES
from common.kernel.spool.entry import Entry
from common.kernel.waits import TICK, Wait
from spooler.messages import Job

# What it may write for one job (bytes): a program that never stops must not fill the disk.
LARGEST = 1 << 17
_PIECE = 1 << 16
_KILLED = -signal.SIGKILL
# Letters of a job's owner or title that it is told.
_LONGEST = 80


class Ended(NamedTuple):
    """With which ``status`` it ended, minus the signal that killed it, and that for people."""

    status: int
    why: str


def program(words: Sequence[str]) -> str:
    """Return the absolute path of the program that ``words`` begin with.

    It is looked for from the working directory, and a bare word then in PATH. Raises
    ``ProcessError`` for one that cannot be started.
    """
    name = words[0] if words else ""
    if not name or any("\0" in word for word in words):
        raise ProcessError("names no program: [./my_filter], or with its arguments")
    path = Path(name).absolute()
    found = None if os.path.lexists(path) or "/" in name else shutil.which(name)
    if found is not None:
        return found
    if not path.exists():
        raise ProcessError(f"there is no program {name}: it would be {path}")
    if not path.is_file():
        raise ProcessError(f"{name} is not a regular file")
    if not os.access(path, os.X_OK):
        raise ProcessError(f"{name} is not executable: chmod +x {shlex.quote(str(path))}")
    return str(path)


def told(entry: Entry, job: Job, owner: str, title: str) -> list[str]:
    """Return what a filter is told of a job: ``job-id user title copies options`` (filter(7)).

    The id is the job's name as it stands on its pages.
    """
    options = f"priority={job.priority} pages={job.pages} attempt={entry.claims}"
    shown = [f"{job.item:012x}", owner, title, "1", options]
    # What a job's file says may be anything.
    return ["".join(c if c.isprintable() else "?" for c in word)[:_LONGEST] for word in shown]


class Filter:
    """The filter of one printer, ``name``; ``seconds`` is how long it may take for a job."""

    def __init__(self, words: Sequence[str], seconds: float, name: str, wait: Wait) -> None:
        self._words = [program(words), *words[1:]]
        self._seconds = seconds
        self._environment = {**os.environ, "PRINTER": name}
        self._wait = wait

    def run(
        self, arguments: Sequence[str], pages: bytes, put: Callable[[bytes], None],
        wanted: Callable[[], bool],
    ) -> Ended | None:  # fmt: skip
        """Have it print a job: each whole line that it writes is given to ``put``.

        Returns None as soon as the job is not ``wanted`` any more. Raises what ``put`` does, and
        ``MachineError`` where it cannot be started. It has ended when this returns or raises.
        """
        if not wanted():
            return None
        with ExitStack() as stack:
            # Whom it leaves in its group is killed with it, and is to be reaped here, too.
            stack.callback(libc.prctl_adopt_orphans, libc.prctl_adopt_orphans(True))
            run = _Run(stack, [*self._words, *arguments], self._environment, pages)
            with self._wait.standing(f"its filter {self._words[0]}"):
                return run.follow(time.monotonic() + self._seconds, self._seconds, put, wanted)


class _Run:
    """One start of a filter: what it is still to read, and what it has written of a line."""

    def __init__(
        self, stack: ExitStack, words: Sequence[str], environment: Mapping[str, str], pages: bytes
    ) -> None:
        try:
            stdin, self._feed = os.pipe2(os.O_CLOEXEC)
            with ExitStack() as theirs:
                theirs.callback(os.close, stdin)
                stack.callback(self._end_input)
                self._out, stdout = os.pipe2(os.O_CLOEXEC)
                theirs.callback(os.close, stdout)
                stack.callback(os.close, self._out)
                # `exec`: the program takes the place of the shell, and so its pid and its end.
                pid = commands.start(f"exec {shlex.join(words)}", stdin, stdout, environment)
            # Last in, first out: it has ended before its pipes are closed.
            stack.callback(commands.end, pid)
            self._pidfd = os.pidfd_open(pid)
            stack.callback(os.close, self._pidfd)
        except OSError as error:
            raise limits.refusal("pipe", str(error)) from None
        self._pid = pid
        self._left, self._half, self._written = pages, b"", 0
        self._poll = select.poll()
        for fd, events in ((self._pidfd, select.POLLIN), (self._out, select.POLLIN),
                           (self._feed, select.POLLOUT)):  # fmt: skip
            os.set_blocking(fd, False)
            self._poll.register(fd, events)

    def follow(
        self, end: float, seconds: float, put: Callable[[bytes], None], wanted: Callable[[], bool]
    ) -> Ended | None:
        """Feed it and print what it writes, until it ends or ``end`` (CLOCK_MONOTONIC, s)."""
        while wanted():
            left = end - time.monotonic()
            if left <= 0:
                return Ended(_KILLED, f"its filter had not ended after {seconds:g} s: killed")
            ready = {fd for fd, _ in self._poll.poll(1000 * min(left, TICK))}
            if self._feed in ready:
                self._write()
            # Once it has ended all is in the pipe that is to come: another may keep that open.
            over = self._pidfd in ready
            while self._out in ready or over:
                lines = self._read()
                if lines is None:
                    break
                for line in lines:
                    if not wanted():
                        return None
                    put(line)
                if self._written > LARGEST:
                    return Ended(_KILLED, f"its filter wrote more than {LARGEST:,} bytes: killed")
                if not over:
                    break
            if over:
                return self._ended()
        return None

    def _write(self) -> None:
        with suppress(BlockingIOError):
            try:
                self._left = self._left[os.write(self._feed, self._left) :]
            except BrokenPipeError:
                # It has closed its standard input: it need not read all.
                self._left = b""
            if not self._left:
                self._end_input()

    def _end_input(self) -> None:
        if self._feed >= 0:
            with suppress(KeyError, AttributeError):
                self._poll.unregister(self._feed)
            os.close(self._feed)
        self._feed = -1

    def _read(self) -> list[bytes] | None:
        """Return the lines that it has ended; None where there is nothing to read now."""
        try:
            piece = os.read(self._out, _PIECE)
        except BlockingIOError:
            return None
        if not piece:
            with suppress(KeyError):
                self._poll.unregister(self._out)
            return None
        self._written += len(piece)
        *lines, self._half = (self._half + piece).split(b"\n")
        return [line + b"\n" for line in lines]

    def _ended(self) -> Ended:
        # Left a zombie: until it is reaped its group is nobody else's.
        found = os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOWAIT)
        assert found is not None
        status = found.si_status if found.si_code == os.CLD_EXITED else -found.si_status
        half = ", and the last line that it wrote has no end: not printed" if self._half else ""
        return Ended(status, ended(status) + half)


def ended(status: int) -> str:
    """Return for people how a filter ended: its exit status, or minus the signal."""
    if status < 0:
        return f"its filter was killed by signal {-status}"
    meaning = STATUSES[status] if status < len(STATUSES) else STATUSES[FAILED]
    return f"its filter ended with {status} ({meaning})"
