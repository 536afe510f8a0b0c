"""The list of kernel objects that a run made, written before each of them exists.

One JSON line an event, each written by one write(2), so that a launcher that is killed at any
point leaves a list that names all it made: at worst its last line is cut, and then the object of
that line was never made.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import stat
import time
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from common import names
from common.errors import KernelObjectError, MachineError, StoredRunError
from common.kernel import existing
from common.kernel.libc import births

VERSION = 1
FILE = "ledger"
# A directory for what an experiment makes beside the objects of the ledger.
FILES = "files"
LARGEST = 64 << 20
_NOT_OURS = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


@dataclass
class Entry:
    """One object: its kind, its key, name or path, and how far it came.

    ``at`` is the wall-clock time (s) of the intention; ``state`` is ``intended``, ``made`` or
    ``gone``; ``id`` is the kernel's own identity (System V id, inode) once it is made, and
    ``born`` when that was (ns), of what lies where a scenario asked for it: an inode is soon
    another's.
    """

    number: int
    kind: str
    name: str | int
    at: float
    facts: dict[str, Any] = field(default_factory=dict)
    state: str = "intended"
    id: int | None = None
    born: int | None = None

    @property
    def kept(self) -> bool:
        """Whether it outlives the run: a file does, and so is never removed."""
        return self.kind == "file"

    @property
    def asked_for(self) -> bool:
        """Whether the scenario gave its path: then it lies anywhere."""
        return self.facts.get("asked_for") is True

    @property
    def group(self) -> str:
        """The group of processes of this run that makes it; "" where the launcher does."""
        return str(self.facts.get("group", ""))


@dataclass(frozen=True)
class Header:
    """Whose ledger it is; ``at`` is UTC, ``start`` the launcher's start in ticks since boot."""

    version: int
    pid: int
    start: int
    boot: str
    namespaces: str
    uid: int
    scenario: str
    run_dir: str
    at: str


@dataclass(frozen=True)
class Process:
    """A process that the run started; it leads a session of its own, whose number is its pid."""

    pid: int
    start: int
    name: str


@dataclass
class LedgerState:
    """What a ledger says: whose it is, its objects in the order of their making, its processes.

    ``kept`` says that its launcher ended and left the objects to be looked at. ``bad_line`` is the
    number of the first line that is not ours (0: there is none); what that line and those after
    it may have named is unknown.
    """

    directory: Path
    header: Header
    entries: list[Entry]
    processes: list[Process]
    kept: bool = False
    bad_line: int = 0

    @property
    def damaged(self) -> bool:
        """Whether there are lines that cannot be read."""
        return self.bad_line > 0

    @property
    def problem(self) -> str:
        """What is wrong with the ledger; "" for a whole one."""
        return _bad_line(self.directory, self.bad_line) if self.damaged else ""

    @property
    def alive(self) -> bool:
        """Whether the launcher still runs. True also where that cannot be seen from here."""
        if self.header.boot != names.boot_id():
            return False
        if self.header.namespaces != names.namespaces():
            return True
        return names.start_time(self.header.pid) == self.header.start

    def makers(self, entry: Entry) -> set[int]:
        """Return who may have made an object of the run: the launcher, or a group's processes."""
        if not entry.group:
            return {self.header.pid}
        return {each.pid for each in self.processes if each.name.startswith(f"{entry.group}-")}


class Ledger:
    """The ledger of a run that is being written; ``entries`` is what it holds so far.

    ``sessions`` are the pids of its processes, each of which leads one, with their start times (0:
    not known), ``names`` what each is called; ``foreign`` says whether one of them is a program
    that is not ours.
    """

    def __init__(self, directory: Path, fd: int) -> None:
        self.directory = directory
        self._fd = fd
        self._whole = True
        self.entries: list[Entry] = []
        self.sessions: dict[int, int] = {}
        self.names: dict[int, str] = {}
        self.foreign = False

    @classmethod
    def create(cls, directory: Path, *, scenario: str, run_dir: str) -> Ledger:
        """Start the ledger of this process's run in its runtime directory.

        Raises ``MachineError`` when it cannot be written there, or is there already.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            ledger = cls(directory, os.open(directory / FILE, flags, 0o600))
        except OSError as error:
            raise _unwritable(directory, str(error.strerror)) from None
        pid = os.getpid()
        try:
            ledger._write(
                event="run",
                version=VERSION,
                pid=pid,
                start=names.start_time(pid),
                boot=names.boot_id(),
                namespaces=names.namespaces(),
                uid=os.geteuid(),
                scenario=scenario,
                run_dir=run_dir,
                at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            )
        except BaseException:
            ledger.close()
            raise
        return ledger

    def intend(self, kind: str, name: str | int, **facts: Any) -> int:
        """Write that an object is about to be made; returns its number in the ledger."""
        entry = Entry(len(self.entries), kind, name, time.time(), facts)
        self._write(event="intend", entry=entry.number, kind=kind, name=name, at=entry.at, **facts)
        self.entries.append(entry)
        return entry.number

    def made(self, entry: int, *, id: int) -> None:
        """Write that the object exists now, and the kernel's identity of it."""
        made = self.entries[entry]
        made.state, made.id = "made", id
        if made.asked_for and made.kind in existing.PLACED:
            made.born = births.born(str(made.name))
        facts = {} if made.born is None else {"born": made.born}
        self._write(event="made", entry=entry, id=id, **facts)

    def gone(self, entry: int) -> None:
        """Write that the object was removed, or never came to be."""
        self.entries[entry].state = "gone"
        self._write(event="gone", entry=entry)

    def process(self, pid: int, start: int | None, name: str, *, foreign: bool = False) -> None:
        """Write that a process was started; a ``foreign`` program may start any others."""
        self.sessions[pid], self.names[pid] = start or 0, name
        self.foreign = self.foreign or foreign
        self._write(event="process", pid=pid, start=start or 0, name=name)

    def keep(self) -> None:
        """Write that the objects are left in place on purpose."""
        self._write(event="kept")

    def close(self) -> None:
        """Close the file; it stays. May be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def _write(self, **event: Any) -> None:
        line = json.dumps(event).encode() + b"\n"
        try:
            # Once a line is cut, nothing may follow it: only a last line may be cut.
            if self._whole and os.write(self._fd, line) == len(line):
                return
            reason = "no space left on device"
        except OSError as error:
            reason = str(error.strerror)
        self._whole = False
        raise _unwritable(self.directory, reason)


def _unwritable(directory: Path, reason: str) -> MachineError:
    return MachineError(
        f"cannot write the ledger in {directory}: {reason}",
        f"free space and inodes (df -i {directory.parent}), or set XDG_RUNTIME_DIR to a directory "
        "of your own, mode 0700",
    )


def read_ledger(directory: Path) -> LedgerState:
    """Read the ledger of a runtime directory; a cut last line is left out.

    The state ends before the first line that is not ours, and is ``damaged`` then. Raises
    ``StoredRunError`` when no ledger was begun, or when nobody can tell from it whose it is.
    """
    lines = _lines(directory)
    if not lines:
        raise StoredRunError(f"{directory}: its ledger was never begun")
    return _parsed(directory, lines)


def _lines(directory: Path) -> list[bytes]:
    # Its whole lines; none where the run was killed before it could make anything.
    try:
        with open(directory / FILE, "rb", opener=_open_plainly) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST:
                raise StoredRunError(f"{directory}: its ledger cannot be read: it is not ours")
            return file.read().split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoredRunError(f"{directory}: its ledger cannot be read: {error.strerror}") from None


def _open_plainly(path: str, flags: int) -> int:
    # Neither following a planted link nor waiting at a planted FIFO.
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _parsed(directory: Path, lines: list[bytes]) -> LedgerState:
    try:
        state = LedgerState(directory, _header(json.loads(lines[0])), [], [])
    except _NOT_OURS:
        raise StoredRunError(_bad_line(directory, 1)) from None
    for number, line in enumerate(lines[1:], 2):
        try:
            _apply(state, json.loads(line))
        except _NOT_OURS:
            state.bad_line = number
            break
    return state


def _bad_line(directory: Path, number: int) -> str:
    return f"{directory}: its ledger cannot be read at line {number}"


def _header(event: dict[str, Any]) -> Header:
    if event.pop("event") != "run" or event["version"] != VERSION:
        raise ValueError(event)
    header = Header(**event)
    _check(header)
    return header


def _check(record: Header | Process) -> None:
    for known in fields(record):
        if type(getattr(record, known.name)).__name__ != known.type:
            raise TypeError(known.name)
    if not 0 < record.pid <= names.LARGEST_PID:
        raise ValueError(record.pid)


def _apply(state: LedgerState, event: dict[str, Any]) -> None:
    kind = event.pop("event")
    if kind == "process":
        process = Process(**event)
        _check(process)
        state.processes.append(process)
        return
    if kind == "kept":
        if event:
            raise ValueError(event)
        state.kept = True
        return
    number = event.pop("entry")
    if kind == "intend":
        entry = Entry(number, event.pop("kind"), event.pop("name"), event.pop("at"), event)
        if number != len(state.entries) or type(entry.at) is not float:
            raise ValueError(event)
        if not math.isfinite(entry.at) or not existing.can_be_made(
            entry.kind, entry.name, state.directory, entry.asked_for
        ):
            raise ValueError(event)
        state.entries.append(entry)
        return
    # Not any index: a negative one would name an entry too.
    if kind not in ("made", "gone") or number not in range(len(state.entries)):
        raise ValueError(event)
    entry = state.entries[number]
    if kind == "made":
        born = event.get("born")
        if type(event["id"]) is not int or (born is not None and type(born) is not int):
            raise TypeError(event)
        entry.id, entry.born = event["id"], born
    entry.state = kind


def remove_directory(directory: Path) -> None:
    """Remove a run's runtime directory: ledger, job files, what it names, and its FILES.

    Raises ``KernelObjectError``, beginning with the directory, and removes nothing, when it is not
    a private directory of this user, its ledger is damaged, or anything else is in it. That one
    who is faster has removed it is no error.
    """
    if not os.path.lexists(directory):
        return
    if not names.is_private_directory(directory):
        raise KernelObjectError(f"{directory}: it is not a runtime directory of this user")
    try:
        lines = _lines(directory)
        state = _parsed(directory, lines) if lines else None
    except StoredRunError as error:
        raise KernelObjectError(error.message) from None
    if state is not None and state.damaged:
        raise KernelObjectError(state.problem)
    made = {entry.name for entry in state.entries} if state is not None else set()
    try:
        contents = list(directory.iterdir())
        strange = sorted(path.name for path in contents if not _removable(path, made))
        if strange:
            raise KernelObjectError(f"{directory}: no run of ours made {', '.join(strange)} in it")
        # The ledger goes last: what is interrupted here can be cleaned again.
        for path in sorted(contents, key=lambda path: path.name == FILE):
            if path.name == FILES:
                shutil.rmtree(path)
            else:
                path.unlink()
        directory.rmdir()
    except FileNotFoundError:
        return
    except OSError as error:
        raise KernelObjectError(f"{directory}: {error.strerror}") from None


def _removable(path: Path, made: set[str | int]) -> bool:
    mode = path.lstat().st_mode
    if path.name == FILES:
        # No link, and nothing mounted there: a tree is removed from where it is, or not at all.
        return names.is_private_directory(path) and not os.path.ismount(path)
    if stat.S_ISREG(mode):
        # Beside the ledger: what the launcher told a program that it started.
        return path.name == FILE or path.name.endswith(".json") or str(path) in made
    return str(path) in made and (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode))
