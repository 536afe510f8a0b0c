"""The list of kernel objects that a run made, written before each of them exists.

One JSON line an event, each written by one write(2), so that a launcher that is killed at any
point leaves a list that names all it made: at worst its last line is cut, and then the object of
that line was never made.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common import names
from common.errors import KernelObjectError, MachineError, StoredRunError

VERSION = 1
FILE = "ledger"
LARGEST = 64 << 20


@dataclass
class Entry:
    """One object: its kind, its key, name or path, and how far it came.

    ``at`` is the wall-clock time (s) of the intention; ``state`` is ``intended``, ``made`` or
    ``gone``; ``id`` is the kernel's own identity (System V id, inode) once it is made.
    """

    number: int
    kind: str
    name: str | int
    at: float
    facts: dict[str, Any] = field(default_factory=dict)
    state: str = "intended"
    id: int | None = None


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
    """A process that the run started."""

    pid: int
    start: int
    name: str


@dataclass
class LedgerState:
    """What a ledger says: whose it is, its objects in the order of their making, its processes."""

    directory: Path
    header: Header
    entries: list[Entry]
    processes: list[Process]

    @property
    def alive(self) -> bool:
        """Whether the launcher still runs. True also where that cannot be seen from here."""
        if self.header.boot != names.boot_id():
            return False
        if self.header.namespaces != names.namespaces():
            return True
        return names.start_time(self.header.pid) == self.header.start


class Ledger:
    """The ledger of a run that is being written; ``entries`` is what it holds so far."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._whole = True
        self.entries: list[Entry] = []

    @classmethod
    def create(cls, directory: Path, *, scenario: str, run_dir: str) -> Ledger:
        """Start the ledger of this process's run in its runtime directory."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        ledger = cls(os.open(directory / FILE, flags, 0o600))
        pid = os.getpid()
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
        return ledger

    def intend(self, kind: str, name: str | int, **facts: Any) -> int:
        """Write that an object is about to be made; returns its number in the ledger."""
        entry = Entry(len(self.entries), kind, name, time.time(), facts)
        self._write(event="intend", entry=entry.number, kind=kind, name=name, at=entry.at, **facts)
        self.entries.append(entry)
        return entry.number

    def made(self, entry: int, *, id: int) -> None:
        """Write that the object exists now, and the kernel's identity of it."""
        self.entries[entry].state, self.entries[entry].id = "made", id
        self._write(event="made", entry=entry, id=id)

    def gone(self, entry: int) -> None:
        """Write that the object was removed, or never came to be."""
        self.entries[entry].state = "gone"
        self._write(event="gone", entry=entry)

    def process(self, pid: int, start: int | None, name: str) -> None:
        """Write that a process was started."""
        self._write(event="process", pid=pid, start=start or 0, name=name)

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
        raise MachineError(f"cannot write the ledger: {reason}", "is the disk of /tmp full?")


def read_ledger(directory: Path) -> LedgerState:
    """Read the ledger of a runtime directory; a cut last line is left out.

    Raises ``StoredRunError`` when there is none, or when it is not a ledger.
    """
    path = directory / FILE
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            text = file.read(LARGEST)
    except OSError as error:
        raise StoredRunError(f"cannot read {path}: {error.strerror}") from None
    lines = text.split(b"\n")[:-1]
    if not lines:
        raise StoredRunError(f"{path} is empty: its run was killed before it made anything")
    number = 1
    try:
        state = _begun(directory, json.loads(lines[0]))
        for line in lines[1:]:
            number += 1
            _apply(state, json.loads(line))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        raise StoredRunError(f"{path}:{number}: this is not a ledger of ours") from None
    return state


def _begun(directory: Path, event: dict[str, Any]) -> LedgerState:
    if event.pop("event") != "run" or event["version"] != VERSION:
        raise ValueError(event)
    header = Header(**event)
    if not isinstance(header.pid, int) or not isinstance(header.start, int):
        raise TypeError(event)
    return LedgerState(directory, header, [], [])


def _apply(state: LedgerState, event: dict[str, Any]) -> None:
    kind = event.pop("event")
    if kind == "process":
        state.processes.append(Process(**event))
        return
    number = event.pop("entry")
    if kind == "intend":
        if number != len(state.entries):
            raise ValueError(number)
        known = event.pop("kind"), event.pop("name"), float(event.pop("at"))
        state.entries.append(Entry(number, *known, facts=event))
    elif kind in ("made", "gone"):
        entry = state.entries[number]
        entry.state = kind
        entry.id = event.get("id", entry.id)
    else:
        raise ValueError(kind)


def remove_directory(directory: Path) -> None:
    """Remove a run's runtime directory: its ledger, and what else of plain files lies beside it.

    Raises ``KernelObjectError`` when it is not a private directory of this user.
    """
    if not names.is_private_directory(directory):
        raise KernelObjectError(f"{directory} is not a runtime directory of this user")
    # The ledger goes last: what is interrupted here can be cleaned again.
    for entry in sorted(directory.iterdir(), key=lambda path: path.name == FILE):
        entry.unlink()
    directory.rmdir()
