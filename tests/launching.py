"""Runs the launcher as a user does: a process of its own, its output read, its objects checked."""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import run
from common.kernel import existing

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 100
# Verbs that fork thousands of processes.
FORKING = {"crash", "explore", "matrix", "play", "soak"}

ONE_CORE = (
    "import os, runpy, sys; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
    "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
)


@dataclass
class Finished:
    """What a launcher left: its exit status and what it printed."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on standard output."""
        assert self.out, self.err
        document: dict[str, Any] = json.loads(self.out)
        return document


def command(*words: str, one_core: bool = False) -> list[str]:
    """Return the command line of the launcher."""
    run = str(ROOT / "run.py")
    return [sys.executable, *(["-c", ONE_CORE, run] if one_core else [run]), *words]


def launch(*words: str, one_core: bool = False, **environment: str) -> Finished:
    """Run the launcher to its end, in a fork of this process: its modules have been read already.

    To start Python and read them anew costs more than most runs; not so for those that fork
    thousands of times, each time the whole memory. Who needs several at once starts ``command``.
    """
    if FORKING.intersection(words[:1]):
        return _launch_anew(words, one_core, environment)
    _warm_up()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with warnings.catch_warnings():
            # pytest-timeout and xdist have threads; the child never touches what they hold.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if not pid:
            _become_launcher(words, (out.fileno(), err.fileno()), one_core, environment)
        status = _ended(pid)
        out.seek(0)
        err.seek(0)
        done = Finished(status, out.read().decode(), err.read().decode())
    assert "Traceback" not in done.err, done.err
    return done


@functools.cache
def _warm_up() -> None:
    """Import what most runs need, once, and not where tests are only collected."""
    # Brings numpy, structlog and what judges, which each fork would import anew.
    importlib.import_module("common.grading.judging").warm_up()
    for name in ("numpy.ma", "common.exploration.explore", *run.VERBS.values()):
        importlib.import_module(name)


def _launch_anew(words: tuple[str, ...], one_core: bool, environment: dict[str, str]) -> Finished:
    done = subprocess.run(
        command(*words, one_core=one_core), capture_output=True, text=True, timeout=SECONDS,
        env={**os.environ, **environment}, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return Finished(done.returncode, done.stdout, done.stderr)


def _become_launcher(
    words: tuple[str, ...], streams: tuple[int, int], one_core: bool, environment: dict[str, str]
) -> NoReturn:
    status = 1
    try:
        gc.freeze()
        os.environ.update(environment)
        if one_core:
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        null = os.open(os.devnull, os.O_RDONLY)
        for place, fd in enumerate((null, *streams)):
            os.dup2(fd, place)
        # Not those of pytest, which keeps what it is told.
        sys.stdin = os.fdopen(0, closefd=False)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", errors="backslashreplace", closefd=False)
        warnings.resetwarnings()
        warnings.simplefilter("ignore")
        sys.argv = ["run.py", *words]
        status = run.main(list(words))
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _ended(pid: int) -> int:
    fd = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    late = not poll.poll(SECONDS * 1000)
    if late:
        os.kill(pid, signal.SIGKILL)
    os.close(fd)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert not late, f"the launcher took longer than {SECONDS} s"
    return status


def still_there(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return those of a run's objects that exist, asked of the kernel and not of the run."""
    tables = {"sysv_shm": "shm", "sysv_sem": "sem", "sysv_queue": "msg"}
    left = []
    for entry in objects:
        kind, name = entry["kind"], entry["name"]
        if kind in tables:
            there = any(f"{row['key']:#x}" == name for row in existing.listed(tables[kind]))
        elif kind.startswith("posix_"):
            there = existing.find(kind, name) is not None
        else:
            there = Path(name).exists() and not entry.get("kept")
        if there:
            left.append(entry)
    return left
