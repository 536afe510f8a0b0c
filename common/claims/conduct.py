"""Runs one experiment in a process of its own, and removes whatever it leaves."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import select
import shutil
import signal
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common import names
from common.claims.claim import UNDECIDED, VERDICTS, Experiment, Shown
from common.claims.lab import Lab
from common.errors import LabError, StoredRunError
from common.kernel import libc
from common.kernel.ledger import FILES, Ledger, read_ledger
from common.kernel.leftovers import remove_dead
from common.kernel.objects import Maker
from common.system import System

# An experiment that has not ended by then never will (s).
DEADLINE = 30.0


@dataclasses.dataclass
class Result:
    """What came of one experiment: a verdict for each of its claims, and its notes."""

    experiment: Experiment
    shown: dict[str, Shown]
    notes: list[str]
    seconds: float


def conduct(experiment: Experiment, systems: Mapping[str, System]) -> Result:
    """Run ``experiment``; whatever it does to its own process, this one is not touched.

    An experiment that fails, or does not end, is undecided, with the reason; its processes are
    killed and its objects removed.
    """
    begun = time.monotonic()
    directory = names.make_runtime_directory()
    reading, writing = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if not pid:
        os.close(reading)
        _perform(experiment, systems, directory, writing, parent)
    os.close(writing)
    try:
        said = _heard(reading, pid, begun + DEADLINE)
    finally:
        os.close(reading)
        with contextlib.suppress(ProcessLookupError):
            # A session of its own: what it started ends with it.
            os.killpg(pid, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        _clean(directory, pid)
    return _result(experiment, said, status, time.monotonic() - begun)


def _perform(
    experiment: Experiment,
    systems: Mapping[str, System],
    directory: Path,
    writing: int,
    parent: int,
) -> None:
    # In a child: never returns, not even where nobody hears it any more.
    try:
        os.setsid()
        libc.prctl_die_with_parent(signal.SIGKILL, parent)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        said = _seen(experiment, systems, directory)
        os.set_blocking(writing, True)
        data = json.dumps(said, default=str).encode()
        while data:
            data = data[os.write(writing, data) :]
    finally:
        os._exit(0)


def _seen(experiment: Experiment, systems: Mapping[str, System], directory: Path) -> dict[str, Any]:
    said: dict[str, Any] = {}
    try:
        ledger = Ledger.create(directory, scenario=experiment.name, run_dir=str(directory))
        # Whatever it makes there goes with it, also when everybody was killed.
        files = directory / FILES
        files.mkdir(0o700)
        lab = Lab(Maker(ledger, directory, files), files, systems)
        try:
            seen = experiment.work(lab)
            said["shown"] = seen if not isinstance(seen, Shown) else {"": seen}
        finally:
            said["notes"] = lab.notes
            lab.close()
    except LabError as error:
        said["error"] = str(error)
    except BaseException as error:
        said["error"] = f"{type(error).__name__}: {error}"
        if os.environ.get("LAB_DEBUG"):
            traceback.print_exc()
    return said


def _heard(reading: int, pid: int, end: float) -> bytes:
    """Return all that process ``pid`` says until it ends, or ``end`` comes."""
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    # Processes that it started may hold the pipe open: end-of-file alone would come too late.
    gone = os.pidfd_open(pid)
    poll.register(gone, select.POLLIN)
    said = b""
    os.set_blocking(reading, False)
    try:
        while ready := dict(poll.poll(max(0.0, end - time.monotonic()) * 1000)):
            try:
                while more := os.read(reading, 1 << 16):
                    said += more
            except BlockingIOError:
                if gone not in ready:
                    continue
            break
    finally:
        os.close(gone)
    return said


def _result(experiment: Experiment, said: bytes, status: int, seconds: float) -> Result:
    try:
        document = json.loads(said)
    except ValueError:
        how = f"it was ended by signal {-status}" if status < 0 else "it said nothing"
        document = {"error": f"after {seconds:.1f} s {how}"}
    shown = {name: Shown(*each) for name, each in document.get("shown", {}).items()}
    every: dict[str, Shown] = {}
    for claim in experiment.claims:
        found = shown.get(claim.name) or shown.get("")
        if found is None or found.verdict not in VERDICTS:
            why = document.get("error", "the experiment says nothing about it")
            found = Shown(UNDECIDED, "", f"the experiment {experiment.name} failed: {why}")
        every[claim.name] = found
    return Result(experiment, every, document.get("notes", []), seconds)


def _clean(directory: Path, pid: int) -> None:
    # What it could not remove itself, having been killed: its own, and that of a run it was making.
    runs = [each for each in names.runtime_directories() if names.maker_pid(each) == pid]
    for each in (directory, *runs):
        with contextlib.suppress(StoredRunError):
            remove_dead(read_ledger(each))
        shutil.rmtree(each, ignore_errors=True)
