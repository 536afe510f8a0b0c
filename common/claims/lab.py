"""What an experiment may use: real processes, real objects that are removed again, a notebook."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from common import names
from common.kernel import libc
from common.kernel.objects import Maker
from common.system import System

# Seconds that something may take which takes milliseconds on a quiet machine.
PATIENCE = 8.0
# Seconds after which something that would have happened by then is taken not to happen.
LONG_ENOUGH = 0.3
# The user without privileges, on every Linux.
NOBODY = 65534

Tell = Callable[[str], object]
Work = Callable[[Tell], object]


class Lab:
    """One experiment's bench.

    ``maker`` makes kernel objects and removes them afterwards (see :class:`Maker`); ``directory``
    is a private one for FIFOs, sockets and files, short enough for a socket's path; ``systems`` is
    the launcher's table of systems, for experiments that are shipped scenarios.
    """

    def __init__(self, maker: Maker, directory: Path, systems: Mapping[str, System]) -> None:
        self.maker = maker
        self.directory = directory
        self.systems = systems
        self.notes: list[str] = []
        self._children: list[Child] = []

    def note(self, line: str) -> None:
        """Write down what happened, in words, in the order in which it happened."""
        self.notes.append(line)

    def fork(self, work: Work) -> Child:
        """Start a process that does ``work(tell)``; its exit status is 0 when that returns.

        ``tell(words)`` says a line, which ``Child.told`` returns. What ``work`` raises makes the
        status 1; with LAB_DEBUG in the environment its traceback is printed.
        """
        self._children.append(Child(work))
        return self._children[-1]

    def intend(self, kind: str, name: str | int) -> None:
        """Put an object into the ledger that this experiment makes by itself, before it does.

        ``kind`` is one of the ledger's (``sysv_shm``, ``posix_queue``, …), ``name`` its key or
        name: draw them with ``common.names.new_key``, or as ``/lab-<8 hexadecimal digits>-<n>``.
        """
        self.maker.intend(kind, name)

    def run(self, scenario: str, variant: str | None = None, **settings: Any) -> dict[str, Any]:
        """Run a shipped scenario (``exchange/negative_stock``); returns its document.

        ``settings`` change values of it: ``table__store="posix_shm"``.
        """
        # Imported late: most experiments are none of these.
        from common import pipeline
        from common.scenario.load import load
        from common.scenario.plan import plan

        configs = Path(__file__).resolve().parents[2] / "configs"
        changes = [f"{key.replace('__', '.')}={value}" for key, value in settings.items()]
        loaded = load(configs / f"{scenario}.yaml", self.systems, changes)
        out = self.directory / "runs"
        return pipeline.perform(
            plan(loaded, variant, None, self.systems), self.systems, out, narrate="nothing"
        )

    def compile(self, source: str, *flags: str) -> str | None:
        """Compile a C program with the system's compiler; returns its path, None without one.

        ``flags`` are the compiler's: ``-O2``.
        """
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            return None
        program = str(self.directory / f"program-{names.new_token()}")
        subprocess.run(
            [compiler, *flags, "-x", "c", "-w", "-o", program, "-"],
            input=source.encode(), check=True, capture_output=True, timeout=PATIENCE * 4,
        )  # fmt: skip
        return program

    def close(self) -> None:
        """End every process that is left, and remove every object."""
        for child in self._children:
            child.end()
        self.maker.remove_all()


class Child:
    """A forked process of an experiment, and a pipe on which it tells how far it has come."""

    def __init__(self, work: Work) -> None:
        reading, writing = os.pipe()
        self._said = b""
        self.status: int | None = None
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid:
            os.close(writing)
            self._reading = reading
            return
        os.close(reading)
        libc.prctl_die_with_parent(signal.SIGKILL, parent)
        status = 1
        try:
            work(lambda words: os.write(writing, words.encode() + b"\n"))
            status = 0
        except BaseException:
            if os.environ.get("LAB_DEBUG"):
                traceback.print_exc()
        finally:
            with contextlib.suppress(BaseException):
                sys.stdout.flush()
            os._exit(status)

    def told(self, seconds: float = PATIENCE) -> str | None:
        """Return the next line that it tells; None when it ended, or nothing came in time."""
        end = time.monotonic() + seconds
        poll = select.poll()
        poll.register(self._reading, select.POLLIN)
        while b"\n" not in self._said:
            if not poll.poll(max(0.0, end - time.monotonic()) * 1000):
                return None
            more = os.read(self._reading, 4096)
            if not more:
                return None
            self._said += more
        line, _, self._said = self._said.partition(b"\n")
        return line.decode()

    def ended(self, seconds: float = PATIENCE) -> int | None:
        """Return its exit status, or minus the signal that ended it; None while it lives."""
        if self.status is None:
            fd = os.pidfd_open(self.pid)
            poll = select.poll()
            poll.register(fd, select.POLLIN)
            gone = poll.poll(seconds * 1000)
            os.close(fd)
            if not gone:
                return None
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def state(self) -> str:
        """Return its state as ps(1) writes it: R, S, T, Z, …; "" when it is reaped."""
        try:
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return ""

    def asleep(self, seconds: float = PATIENCE) -> bool:
        """Wait until it sleeps in a system call (state S); False when it does not come to that."""
        end = time.monotonic() + seconds
        while self.state() != "S":
            if time.monotonic() > end:
                return False
            os.sched_yield()
        return True

    def end(self) -> None:
        """Kill it if it lives, and reap it."""
        if self.status is None:
            self.kill()
            self.ended()
        os.close(self._reading)
