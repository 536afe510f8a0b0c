"""Runs one side of a comparison: a program of its own, held to some cores, that prints JSON."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = Path(__file__).resolve().parent / "reference"

# Seconds that one program may take: far more than any needs on a slow machine.
PATIENCE = 600.0
# Seconds that an interrupted program has to remove its kernel objects.
GRACE = 10.0


class CannotMeasure(Exception):
    """A row that this machine cannot measure; its message says why."""


class ProgramFailed(Exception):
    """A measured program did not end well; its message says how."""


def no_compiler() -> str:
    """Return why the C programs cannot be built here; "" when they can."""
    compiler = os.environ.get("CC", "cc").split()[0]
    for tool in (compiler, "make"):
        if shutil.which(tool) is None:
            return f"there is no {tool} here to build the C programs of benchmarks/reference"
    return ""


def reference(name: str) -> str:
    """Build the C programs if need be; returns the path of one. Raises ``CannotMeasure``."""
    problem = no_compiler()
    if problem:
        raise CannotMeasure(problem)
    build = subprocess.run(["make", "-C", REFERENCE], capture_output=True, text=True, check=False)
    if build.returncode:
        raise CannotMeasure(f"the C programs do not build: {build.stderr.strip()}")
    return str(REFERENCE / "bin" / name)


def subject(name: str, *words: object) -> list[str]:
    """Return the command of one of our own programs in ``benchmarks/subjects``."""
    return [sys.executable, "-m", f"benchmarks.subjects.{name}", *map(str, words)]


def launcher(*words: object) -> list[str]:
    """Return a ``run.py`` command."""
    return [sys.executable, str(ROOT / "run.py"), *map(str, words)]


def run(command: Sequence[str], cores: int = 0, good: Sequence[int] = (0,)) -> dict[str, Any]:
    """Run ``command`` on ``cores`` cores (0: all) and return the JSON object that it prints.

    ``good`` are the exit statuses that are not a failure. Raises ``ProgramFailed``.
    """
    printed, _seconds = timed(command, cores, good)
    try:
        found = json.loads(printed)
    except ValueError:
        raise ProgramFailed(f"{_shown(command)} printed no JSON: {printed[:200]!r}") from None
    if not isinstance(found, dict):
        raise ProgramFailed(f"{_shown(command)} printed no JSON object")
    return found


def timed(command: Sequence[str], cores: int = 0, good: Sequence[int] = (0,)) -> tuple[str, float]:
    """Run ``command`` like :func:`run`; returns what it printed and its wall time in seconds."""
    with on_cores(cores):
        begun = time.perf_counter()
        # In a session of its own: Ctrl-C comes to us, and we pass it on once.
        process = subprocess.Popen(
            command, cwd=ROOT, text=True, stdin=subprocess.DEVNULL, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
    try:
        printed, said = process.communicate(timeout=PATIENCE)
    except BaseException as error:
        _stop(process)
        if isinstance(error, subprocess.TimeoutExpired):
            raise ProgramFailed(f"{_shown(command)} took more than {PATIENCE:g} s") from None
        raise
    seconds = time.perf_counter() - begun
    if process.returncode not in good:
        raise ProgramFailed(
            f"{_shown(command)} ended with status {process.returncode}:\n{said.strip()[-2000:]}"
        )
    return printed, seconds


@contextlib.contextmanager
def on_cores(count: int) -> Iterator[None]:
    """Hold what is started inside to ``count`` of the cores that this process may use."""
    allowed = os.sched_getaffinity(0)
    if not count or count >= len(allowed):
        yield
        return
    os.sched_setaffinity(0, sorted(allowed)[-count:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def _stop(process: subprocess.Popen[str]) -> None:
    """Interrupt the program, so that it removes what it made; kill it if it does not end."""
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=GRACE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _shown(command: Sequence[str]) -> str:
    words = [Path(word).name if word.startswith("/") else word for word in command]
    return " ".join(words)
