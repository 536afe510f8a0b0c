"""What the programs of a run made for themselves in the kernel, and left there.

An object outlives its maker until somebody removes it (sysvipc(7), shm_overview(7)). What a program
made without being asked to is its own: it is named here, with the command that removes it, and
never removed.
"""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Collection, Iterable
from pathlib import Path

import sysv_ipc

from common import names
from common.kernel import existing, in_use
from common.kernel.ledger import Entry, Ledger

# The kernel's columns of who made, sent to or received from an object (proc(5), sysvipc).
_USERS = {"sysv_shm": ("cpid",), "sysv_queue": ("lspid", "lrpid"), "sysv_sem": ()}
_SHM = Path("/dev/shm")
# The segment is removed already, and goes with the last who has it attached (shmctl(2)).
_SHM_DEST = 0o1000
NAMED = 10

# Kind, and id or path.
_Object = tuple[str, str | int]


class Census:
    """What there was when a run began.

    Only the kernel's word makes an object a program's: who created a segment, who used a queue or
    a semaphore last. What is new and of this user besides may be of the run, and is named so if
    this was the only run of the lab, and it has no name that the lab gives.
    """

    def __init__(self) -> None:
        self._alone = _alone()
        self._before = set(_all())

    def left(self, ledger: Ledger, others: Collection[int] = ()) -> list[str]:
        """Return a sentence for each object that is new; ``others`` were processes of it, too.

        Only a program that is not ours makes any: without one there is nothing to tell.
        """
        if not ledger.foreign:
            return []
        # Told of by ``replaced``, where they are another's.
        own = {_called(entry) for entry in ledger.entries}
        alone = self._alone and _alone()
        said = []
        for (kind, name), (called, pids) in _all().items():
            if (kind, name) in self._before or called in own:
                continue
            mine = sorted((pids | _last(kind, name)) & (ledger.names.keys() | set(others)))
            who = ledger.names.get(mine[0], "a program of this run") if mine else ""
            if who:
                said.append(f"left by {who}: {_told(kind, name)}")
            elif alone and not _ours(called):
                # No command that removes it: it may be somebody else's.
                said.append(
                    f"perhaps left by a program of this run: {_told(kind, name, look=True)}"
                )
        more = len(said) - NAMED
        return [*said[:NAMED], *([f"{more} more objects were left"] if more > 0 else [])]


def replaced(entries: Iterable[Entry], directory: Path) -> list[str]:
    """Return a sentence for each object in whose place there is another one of the same name.

    What lies in the runtime ``directory`` goes with it.
    """
    said = []
    for entry in entries:
        within = Path(str(entry.name)).parent == directory
        if entry.state != "made" or entry.group or within:
            continue
        found = existing.find(entry.kind, entry.name)
        if found is not None and found.id != entry.id:
            said.append(
                f"{entry.kind} {existing.shown(entry.name)} is no longer the one that this run "
                f"made (id {entry.id}): somebody removed that and made another (id {found.id}), "
                f"which is left: {in_use.mend(entry.kind, entry.name, found)}"
            )
    return said


def _told(kind: str, name: str | int, *, look: bool = False) -> str:
    """Return an object and the command that removes it, or only shows whose it is."""
    if kind in existing.SYSV:
        letter = existing.SYSV[kind][2]
        command = f"ipcs -{letter} -i" if look else f"ipcrm -{letter}"
        return f"{kind} (id {name}): {command} {name}"
    shown = names.printable(name)
    return f"{kind} {shown}: {'ls -l' if look else 'rm'} {shlex.quote(shown)}"


def _called(entry: Entry) -> _Object:
    if entry.kind in existing.SYSV:
        return entry.kind, entry.name
    return "file", str(existing.path(entry.kind, str(entry.name)))


def _ours(called: _Object) -> bool:
    kind, name = called
    if kind == "file":
        return Path(str(name)).name.startswith(("lab-", "sem.lab-"))
    return isinstance(name, int) and name & ~0xFFFFFF == names.KEY_PREFIX


def _all() -> dict[_Object, tuple[_Object, set[int]]]:
    """Return this user's objects: kind and key or path, and the pids that the kernel knows."""
    found: dict[_Object, tuple[_Object, set[int]]] = {}
    user = os.geteuid()
    for kind, (table, column, _, _) in existing.SYSV.items():
        with contextlib.suppress(OSError):
            for row in existing.listed(table):
                if row["cuid"] == user and not int(str(row["perms"]), 8) & _SHM_DEST:
                    pids = {row[each] for each in _USERS[kind]}
                    found[kind, row[column]] = (kind, row["key"]), pids
    with contextlib.suppress(OSError):
        for entry in os.scandir(_SHM):
            with contextlib.suppress(OSError):
                if entry.stat(follow_symlinks=False).st_uid == user:
                    found["file", entry.path] = ("file", entry.path), set()
    return found


def _last(kind: str, name: str | int) -> set[int]:
    """Return who changed a semaphore set's first one last (semctl(2), GETPID)."""
    if kind != "sysv_sem":
        return set()
    with contextlib.suppress(sysv_ipc.Error, ValueError, OSError):
        keys = [row["key"] for row in existing.listed("sem") if row["semid"] == name]
        return {sysv_ipc.Semaphore(key).last_pid for key in keys if key}
    return set()


def _alone() -> bool:
    directories = names.runtime_directories()
    return not any(
        names.maker_lives(each) for each in directories if names.maker_pid(each) != os.getpid()
    )
