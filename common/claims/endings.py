"""How processes of an experiment end that do what they may not: by an exit status or a signal."""

from __future__ import annotations

import contextlib
import errno
import faulthandler
import os
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator

from common.claims.lab import NOBODY, PATIENCE, Lab, Tell


def words(status: int | None) -> str:
    """Return an exit status in words: ``exit 0``, ``SIGBUS``, ``it lives``."""
    if status is None:
        return "it lives"
    return signal.Signals(-status).name if status < 0 else f"exit {status}"


def ending(lab: Lab, work: Callable[[], object]) -> str:
    """Do ``work`` in a process that may die of it, leaving no core; returns how it ended."""

    def alone(tell: Tell) -> None:
        faulthandler.disable()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        work()

    return words(lab.fork(alone).ended())


def run_program(path: str, *arguments: object, says: str = "") -> tuple[str, str]:
    """Run a program with ``says`` on its input; returns what it printed, and how it ended."""
    done = subprocess.run(
        ["sh", "-c", 'ulimit -c 0; exec "$@"', "sh", path, *map(str, arguments)],
        input=says, capture_output=True, text=True, errors="replace", timeout=PATIENCE, check=False,
    )  # fmt: skip
    return done.stdout, words(done.returncode)


def attempt(call: Callable[[], object]) -> str:
    """Return "" when ``call`` succeeds, else the name of its ``OSError``'s errno."""
    try:
        call()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return ""


@contextlib.contextmanager
def without_privileges() -> Iterator[int]:
    """Be a plain user for a while: root becomes nobody, others stay; yields the user id."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield os.geteuid()
    finally:
        os.seteuid(before)
