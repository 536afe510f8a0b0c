"""Lays a spool, or takes over the one that an earlier run left, and says what is in it."""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from common.errors import KernelObjectError, NotPermitted, ObjectExists, StoredRunError
from common.kernel import limits, mapped_file
from common.kernel.spool import HELD, INCOMING, PENDING, PROCESSING, STATES, STOPPED, journal
from common.kernel.spool import entry as entries
from common.kernel.spool.door import SHUT
from common.kernel.spool.entry import Entry
from common.kernel.spool.moves import redo

if TYPE_CHECKING:
    from common.kernel.objects import Maker

# In the spool's directory; the run that has it locked is the only one that uses the spool.
HOLD = "run"
# What a journal begins with: the jobs that lay there, and those that should have.
FOUND, MISSING = "found", "missing"
UNFINISHED = (PENDING, HELD, PROCESSING, STOPPED)
# Of a job's name, what counts the jobs of one process.
_SEQUENCE = 0xFFFFFFFF
# Letters of a name of who made a job that the journal repeats.
LONGEST_OWNER = 40


def make(
    options: dict[str, Any], relative: str | None, run_dir: Path, maker: Maker
) -> dict[str, Any]:
    """Make the spool of a run, with its doors and a journal that begins with what is there.

    ``relative`` is its path where it outlives the run, below ``maker.base``. Its address is
    ``options`` and ``path``, ``journal``, ``jobs`` and ``news`` (the doors' keys), ``base`` (no
    place in line is behind it yet), ``first`` (the first number of a job that none has had) and
    ``doubts`` (in what the last run's journal and what lies there do not agree).
    Raises ``KernelObjectError``, ``ObjectExists`` when another run has it, and ``MachineError``.
    """
    path = run_dir / "spool" if relative is None else _inside(relative, maker.base)
    try:
        path.mkdir(0o700, parents=True, exist_ok=relative is not None)
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            raise NotPermitted(f"{path} is a link, or another user's", "name another path")
        if relative is not None:
            maker.file(path / HOLD, 1)
        for name in (*STATES, INCOMING):
            (path / name).mkdir(0o700, exist_ok=True)
    except OSError as error:
        raise _refused(path, error) from None
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return _take_over(directory, path, run_dir, options, maker)
    except OSError as error:
        raise _refused(path, error) from None
    finally:
        os.close(directory)


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold a spool that outlives its runs, as a run does; raises ``ObjectExists`` when one has it.

    A run that begins meanwhile waits.
    """
    try:
        fd = mapped_file.open_exclusively(path / HOLD, 0.0, lambda: False)
    except ObjectExists:
        raise ObjectExists(
            f"a run has the spool {path}", "what is over is taken away between two runs"
        ) from None
    try:
        yield
    finally:
        os.close(fd)


def listing(address: dict[str, Any]) -> dict[str, Any]:
    """Return what lies in a spool when its run has ended; its last move is made before.

    ``jobs``: of each ``job``, ``state``, ``claims``, ``failures`` and ``path``; ``journal``: how
    many bytes of the journal tell of this run. Raises ``OSError``.
    """
    path = Path(address["path"])
    size = _settle(path)
    jobs = [
        {
            "job": each.item,
            "state": each.state,
            "claims": each.claims,
            "failures": each.failures,
            "path": each.path,
        }
        for each in sorted(_entries(path), key=lambda each: each.place)
    ]
    return {"jobs": jobs, "journal": size}


def _take_over(
    directory: int, path: Path, run_dir: Path, options: dict[str, Any], maker: Maker
) -> dict[str, Any]:
    before = path / journal.NAME
    old = os.open(before, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC) if before.exists() else None
    said: dict[int, Entry] = {}
    doubts: list[str] = []
    given = 0
    try:
        if old is not None:
            # A person at the shell may just be moving a job.
            fcntl.flock(old, fcntl.LOCK_EX)
            last = journal.Journal(old, path).last()
            if last is not None:
                redo(directory, last)
            said, given, doubts = _said(before)
        for left in (path / INCOMING).iterdir():
            # Nobody was told that it is accepted.
            left.unlink()
        found = _entries(path)
        unfinished = sorted(
            (each for each in found if each.state in UNFINISHED), key=lambda each: each.place
        )
        there = {each.item for each in found}
        # A finished one may be cleared away; these are accepted, and nobody printed them.
        missing = [
            each for each in said.values() if each.state in UNFINISHED and each.item not in there
        ]
        astray = sum(said.get(each.item) != each for each in unfinished)
        if astray:
            doubts.append(f"{astray:,} of the jobs that lie there do not lie where it says")
        # Those that were taken away count, too: a name is given once.
        sequences = [item & _SEQUENCE for item in (*there, *said)]
        address = {
            **options,
            "path": str(path),
            "jobs": maker.sysv_sem(SHUT),
            "news": maker.sysv_sem(SHUT),
            "base": max((each.line for each in unfinished), default=0) + 1,
            "first": max([given, *sequences]) + 1,
            "doubts": doubts,
        }
        return _begin(path, run_dir, address, unfinished, missing)
    finally:
        if old is not None:
            os.close(old)


def _said(path: Path) -> tuple[dict[int, Entry], int, list[str]]:
    """Return where each job lies by the journal of the last run, and what is wrong with that.

    Between them the last number of a job that was given before that run.
    """
    try:
        lines = journal.read(path)
    except StoredRunError:
        return {}, 0, ["it cannot be read"]
    said = {}
    for line in lines:
        entry = entries.parse(str(line.get("to")))
        # What was missed when the last run began is told already.
        if entry is not None and line.get("why") != MISSING:
            said[entry.item] = entry
    address = lines[0]["spool"]
    first = address.get("first") if isinstance(address, dict) else None
    return said, first - 1 if isinstance(first, int) else 0, journal.flaws(path)


def _settle(path: Path) -> int:
    """Make the last move of a journal if its maker did not come to it; returns its length."""
    before = os.open(path / journal.NAME, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(before, fcntl.LOCK_EX)
        writing = journal.Journal(before, path)
        last = writing.last()
        if last is not None:
            redo(directory, last)
        return writing.size
    finally:
        os.close(directory)
        os.close(before)


def _begin(
    path: Path, run_dir: Path, address: dict[str, Any], unfinished: list[Entry],
    missing: list[Entry],
) -> dict[str, Any]:  # fmt: skip
    """Put a new journal in the place of the old one; its second name is in the run's directory."""
    new = path / f"{journal.NAME}.new"
    new.unlink(missing_ok=True)
    fd = os.open(new, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        inode = os.fstat(fd).st_ino
        address["journal"] = {"path": str(path / journal.NAME), "inode": inode, "shown": ""}
        writing = journal.Journal(fd, path)
        writing.append({"spool": address})
        for each in (*unfinished, *missing):
            why = MISSING if each in missing else FOUND
            line = {"job": each.item, "from": "", "to": each.path, "who": "", "why": why}
            writing.append({**line, "at": 0, **_facts(path / each.path)})
        writing.sync()
    finally:
        os.close(fd)
    os.link(new, run_dir / journal.STORED)
    new.replace(path / journal.NAME)
    return address


def _facts(file: Path) -> dict[str, Any]:
    """Return how many ``pages`` a job of an earlier run has, 0 for a file that holds no job.

    And, where the file says so, who made it (``owner``), and its ``number`` there.
    """
    try:
        body = json.loads(file.read_bytes())
        facts: dict[str, Any] = {"pages": int(body["pages"])}
        if isinstance(body.get("owner"), str) and isinstance(body.get("number"), int):
            facts |= {"owner": body["owner"][:LONGEST_OWNER], "number": body["number"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {"pages": 0}
    return facts


def _entries(path: Path) -> list[Entry]:
    found = (
        entries.parse(f"{state}/{each.name}")
        for state in STATES
        for each in (path / state).iterdir()
    )
    return [each for each in found if each is not None]


def _inside(relative: str, base: Path) -> Path:
    inside = PurePath(relative)
    if inside.is_absolute() or ".." in inside.parts or not inside.parts:
        raise KernelObjectError(
            f"the spool {relative!r} is not inside {base}",
            "give a path relative to the directory that holds the scenario's runs",
        )
    return base / inside


def _refused(path: Path, error: OSError) -> Exception:
    if isinstance(error, (FileExistsError, NotADirectoryError)):
        return KernelObjectError(
            f"{path} is no spool of an earlier run: {error.strerror}",
            "name another path, or move it away",
        )
    return limits.refusal("file", str(error), path)
