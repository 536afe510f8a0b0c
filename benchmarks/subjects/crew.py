"""Forks the workers of a subject, lets them start together, and keeps its kernel objects."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import struct
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from common import names
from common.kernel import libc
from common.kernel.ledger import Ledger
from common.kernel.objects import Maker

_ANSWER = struct.Struct("@id")

# What a worker does: it calls what it is given when it is ready, and returns one figure.
Work = Callable[[Callable[[], None]], float]


@contextlib.contextmanager
def maker() -> Iterator[Maker]:
    """Yield a maker of kernel objects, listed in a ledger; they are gone afterwards."""
    directory = names.make_runtime_directory()
    try:
        ledger = Ledger.create(directory, scenario="benchmark", run_dir=str(directory))
        making = Maker(ledger, directory, directory)
        try:
            yield making
        finally:
            making.remove_all()
            ledger.close()
    finally:
        # Somebody may have cleaned up before us: then there is nothing to do.
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(directory)


def together(works: Sequence[Work]) -> list[float]:
    """Run each of ``works`` in a process of its own and return what they return, in order.

    All of them are ready before the first goes on. Raises ``ChildProcessError`` when one fails.
    """
    ready, tell = os.pipe()
    gate, opening = os.pipe()
    result, say = os.pipe()
    launcher = os.getpid()
    children: list[int] = []
    try:
        for number, work in enumerate(works):
            pid = os.fork()
            if pid == 0:
                os.close(opening)
                _worker(launcher, number, work, (tell, gate, say))
            children.append(pid)
        os.close(tell)
        os.close(say)
        for _ in works:
            if not os.read(ready, 1):
                raise ChildProcessError("a worker ended before it began")
        os.close(opening)
        answers: dict[int, float] = {}
        while len(answers) < len(works):
            answer = os.read(result, _ANSWER.size)
            if not answer:
                raise ChildProcessError("a worker failed")
            number, figure = _ANSWER.unpack(answer)
            answers[number] = figure
        return [answers[number] for number in range(len(works))]
    finally:
        for pid in children:
            # Those that have answered have nothing more to do.
            os.kill(pid, signal.SIGKILL)
        for pid in children:
            os.waitpid(pid, 0)


def _worker(launcher: int, number: int, work: Work, ends: tuple[int, int, int]) -> None:
    tell, gate, say = ends
    try:
        libc.prctl_die_with_parent(signal.SIGKILL, launcher)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

        def pass_gate() -> None:
            os.write(tell, b".")
            os.close(tell)
            os.read(gate, 1)

        os.write(say, _ANSWER.pack(number, work(pass_gate)))
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(0)


def scratch(making: Maker) -> Path:
    """Return a new directory for files that end with the objects of ``making``."""
    directory = making.directory / "scratch"
    directory.mkdir(mode=0o700)
    return directory
