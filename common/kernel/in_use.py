"""Who has the key, name or path that a run asks for: a refusal that says so, with the mend.

A run of the lab is known by its ledger; another program by what it has attached or open, as far as
the kernel shows it to this user (proc(5)); what nobody uses is left over.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import sysv_ipc

from common import names
from common.errors import KernelObjectError, NotPermitted, ObjectExists, StoredRunError
from common.kernel import existing
from common.kernel.existing import Found
from common.kernel.ledger import LedgerState, read_ledger

# Processes that are named; more are counted only.
NAMED = 3


def refusal(kind: str, name: str | int, found: Found) -> KernelObjectError:
    """Return the error for an object that exists and that this run wanted to make.

    ``NotPermitted`` where it is another user's, else ``ObjectExists``.
    """
    what = f"{kind} {existing.shown(name)}"
    whose = existing.owner(found)
    if found.uid != os.geteuid():
        hint = "only its owner or root can remove it: choose another"
        return NotPermitted(f"{what} is somebody else's: {whose}", hint)
    run = run_with(kind, name)
    if run is not None:
        header = run.header
        return ObjectExists(
            f"{what} is that of another run, which is alive: {header.scenario}, process "
            f"{header.pid}, {header.run_dir}; {whose}",
            "wait for it to end, or choose another",
        )
    pids = users(kind, name, found)
    if pids:
        return ObjectExists(
            f"{what} exists already and is in use by {_told(pids)}: {whose}",
            f"let it end; if the object stays then: {mend(kind, name, found)}",
        )
    return ObjectExists(
        f"{what} exists already: {whose}",
        f"if it is left over: {mend(kind, name, found)}; or ask for none, and one is drawn",
    )


def must_be_free(kind: str, name: str | int) -> None:
    """Raise ``ObjectExists`` or ``NotPermitted`` when there is an object of that name already."""
    found = existing.find(kind, name)
    if found is not None:
        raise refusal(kind, name, found)
    if kind not in existing.SYSV and os.path.lexists(existing.path(kind, str(name))):
        raise squatted(str(name))


def squatted(path: str) -> KernelObjectError:
    """Return the error for a path at which something lies that is not what was to be made."""
    return ObjectExists(
        f"{path} exists already, and is something else",
        f"look: ls -ld {shlex.quote(path)}; choose another path, or move it away",
    )


def mend(kind: str, name: str | int, found: Found) -> str:
    """Return the shell command that removes an object."""
    if kind in existing.SYSV:
        return f"ipcrm -{existing.SYSV[kind][2]} {found.id}"
    return f"rm {shlex.quote(str(existing.path(kind, str(name))))}"


def run_with(kind: str, name: str | int) -> LedgerState | None:
    """Return the living run of this user that has such an object in its ledger."""
    for directory in names.runtime_directories():
        try:
            state = read_ledger(directory)
        except StoredRunError:
            continue
        if state.header.pid == os.getpid() or not state.alive:
            continue
        for entry in state.entries:
            if entry.kind == kind and entry.name == name and entry.state != "gone":
                return state
    return None


def users(kind: str, name: str | int, found: Found) -> list[int]:
    """Return the processes that have an object attached or open, or that changed it last.

    Only what this user may see; who used a semaphore or queue last counts while it lives.
    """
    if kind == "sysv_shm":
        # A line of maps ends in "/SYSV<key> (deleted)", its inode is the segment's id (proc(5)).
        mark = re.compile(rf" {found.id} +/SYSV[0-9a-f]{{8}} ")
        return [pid for pid in _pids() if mark.search(_read(pid, "maps"))]
    if kind in existing.SYSV:
        return [pid for pid in _last_users(kind, name, found) if names.start_time(pid) is not None]
    if kind == "socket":
        return _listening(str(name))
    path = existing.path(kind, str(name))
    return [pid for pid in _pids() if any(_same(fd, path) for fd in _descriptors(pid))]


def _last_users(kind: str, name: str | int, found: Found) -> list[int]:
    """Return who changed a semaphore or queue last (semctl(2) GETPID, proc(5) sysvipc/msg)."""
    if kind == "sysv_queue":
        rows = [row for row in existing.listed("msg") if row["msqid"] == found.id]
        pids = [row[column] for row in rows for column in ("lspid", "lrpid")]
    else:
        try:
            pids = [sysv_ipc.Semaphore(int(name)).last_pid]
        except sysv_ipc.Error:
            pids = []
    return sorted({pid for pid in pids if pid} - {os.getpid()})


def _told(pids: list[int]) -> str:
    named = [f"process {pid} ({_read(pid, 'comm').strip() or 'gone by now'})" for pid in pids]
    more = len(named) - NAMED
    return ", ".join(named[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _pids() -> Iterator[int]:
    mine = os.getpid()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != mine:
            yield int(entry.name)


def _read(pid: int, file: str) -> str:
    try:
        return Path(f"/proc/{pid}/{file}").read_text(errors="replace")
    except OSError:
        return ""


def _descriptors(pid: int) -> Iterator[Path]:
    try:
        yield from Path(f"/proc/{pid}/fd").iterdir()
    except OSError:
        return


def _same(descriptor: Path, path: Path) -> bool:
    try:
        return os.path.samestat(descriptor.stat(), path.lstat())
    except OSError:
        return False


def bound(path: str) -> bool:
    """Tell whether somebody is at a socket's path: it listens there, or receives datagrams."""
    # Flags 00010000: it listens (SO_ACCEPTCON); type 0002: datagrams (unix_seq_show).
    return any(flags == "00010000" or kind == "0002" for flags, kind, _ in _sockets(path))


def _sockets(path: str) -> list[tuple[str, str, str]]:
    """Return flags, type and inode of the sockets that are bound to a path (proc/net/unix)."""
    lines = [line.split(maxsplit=7) for line in _read(os.getpid(), "net/unix").splitlines()[1:]]
    return [(line[3], line[4], line[6]) for line in lines if len(line) == 8 and line[7] == path]


def _listening(path: str) -> list[int]:
    inodes = {f"socket:[{inode}]" for _, _, inode in _sockets(path)}
    if not inodes:
        return []
    return [pid for pid in _pids() if any(_link(fd) in inodes for fd in _descriptors(pid))]


def _link(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except OSError:
        return ""
