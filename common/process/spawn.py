"""Starts child processes: forked from the warm launcher, or exec'd as programs of their own."""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from common import kinds
from common.errors import MachineError
from common.kernel import libc, survivors
from common.process import child
from common.process.interrupts import SIGNALS

ROOT = Path(__file__).resolve().parents[2]


def warm_up(roles: set[tuple[str, str]]) -> None:
    """Import the roles' modules, so that a forked child finds them in memory.

    ``roles`` holds (package, role). Freezing keeps the collector of a child from writing to, and
    so copying, the pages that it shares with the launcher.
    """
    for package, role in roles:
        kinds.load(package, role)
    libc.command_line()
    gc.collect()
    gc.freeze()


def fork(job: dict[str, Any], stderr: int) -> int:
    """Fork a child for ``job``; returns its pid. Raises ``MachineError`` when there is no room.

    The child has a session of its own, dies with the launcher, and inherits no descriptor but
    those that its job names.
    """
    launcher = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = fork_off(job["name"])
    if pid:
        return pid
    status = child.FAILED
    try:
        settle(launcher, stderr, job["descriptors"])
        # For what it may start: its own environment is the launcher's in proc(5).
        os.environ[survivors.MARK] = str(Path(job["report"]).parent)
        status = child.run(job)
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


def execute(job: dict[str, Any], stderr: int, directory: Path) -> int:
    """Start the child as a program of its own, told by a file in ``directory``; returns its pid."""
    path = directory / f"{job['name']}.json"
    path.write_text(json.dumps(job))
    launcher = os.getpid()
    environment = {**survivors.environment(directory), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "common.process.child", str(path)]
    pid = fork_off(job["name"])
    if pid:
        return pid
    try:
        settle(launcher, stderr, job["descriptors"])
        for fd in job["descriptors"]:
            os.set_inheritable(fd, True)
        os.execve(sys.executable, command, environment)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(child.FAILED)


def fork_off(name: str) -> int:
    """Fork; returns the pid, 0 in the child. Raises ``MachineError``."""
    try:
        return os.fork()
    except OSError as error:
        limit = resource.getrlimit(resource.RLIMIT_NPROC)[0]
        raise MachineError(
            f"cannot start {name}: {error.strerror}",
            f"ulimit -u is {limit}; see also kernel.threads-max, kernel.pid_max and memory",
        ) from None


def settle(launcher: int, stderr: int, descriptors: list[int]) -> None:
    """Give a new child its own session, the launcher's fate, standard error, and nothing else."""
    os.setsid()
    libc.prctl_die_with_parent(signal.SIGKILL, launcher)
    signal.set_wakeup_fd(-1)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else signal.SIG_DFL)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(stderr, 1)
    os.dup2(stderr, 2)
    first = 3
    for fd in sorted(descriptors):
        os.closerange(first, fd)
        first = fd + 1
    os.closerange(first, 1 << 30)
