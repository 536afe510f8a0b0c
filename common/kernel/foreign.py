"""Objects that other programs make: whether one is there, whether it is sound, and whose it is.

The lab opens such an object and never creates it, not even by accident: no call has IPC_CREAT or
O_CREAT. What somebody else may have planted is refused (shmget(2) gives the memory of whoever was
faster to everybody that asks with IPC_CREAT alone).
"""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import NamedTuple

import sysv_ipc

from common import names
from common.errors import KernelObjectError, NotPermitted, ObjectExists
from common.kernel import existing, in_use, sysv
from common.kernel.existing import Found
from common.kernel.ledger import Entry, Ledger


class Awaited(NamedTuple):
    """One object that another program makes: its kind, its key or path, and bytes at least."""

    kind: str
    name: str | int
    size: int = 0

    def __str__(self) -> str:
        return f"{self.kind} {existing.shown(self.name)}"


class Foreign:
    """What other programs make for one run; groups of the run are written into its ledger.

    ``remarks`` are sentences that a reader of the run should see.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.remarks: list[str] = []
        self._ledger = ledger
        self._makers: dict[str, set[int]] = {}

    def expect(self, awaited: Awaited, group: str) -> None:
        """Write down that a group of this run is about to make an object.

        Raises ``ObjectExists`` and ``NotPermitted`` when there is one of that name already: it
        could not be told from the group's.
        """
        in_use.must_be_free(awaited.kind, awaited.name)
        self._ledger.intend(awaited.kind, awaited.name, asked_for=True, group=group)

    def come(self, awaited: Awaited, group: str = "", pids: Collection[int] = ()) -> bool:
        """Tell whether an object is there, and sound; see :func:`look`.

        With ``group`` its processes ``pids`` must have made it: else ``ObjectExists`` is raised.
        """
        found = look(awaited)
        if found is None:
            return False
        if group:
            strange = _stranger(awaited, found, pids, group)
            if strange:
                raise ObjectExists(strange, "another program was faster: end it, and run again")
            self._makers.setdefault(group, set(pids)).add(found.creator)
            for entry in self._ledger.entries:
                if (entry.kind, entry.name, entry.id) == (awaited.kind, awaited.name, None):
                    self._ledger.made(entry.number, id=found.id)
        said = _open_to_others(awaited, found)
        if said and said not in self.remarks:
            self.remarks.append(said)
        return True

    def left_behind(self, entry: Entry) -> None:
        """Note that the launcher removed what a group had made and not removed itself."""
        if entry.group:
            self.remarks.append(
                f"{entry.group} left its {entry.kind} {existing.shown(entry.name)} behind: the "
                "launcher removed it"
            )

    def makers(self, group: str) -> Collection[int]:
        """Return the processes that made what a group was to make."""
        return self._makers.get(group, ())


def look(awaited: Awaited) -> Found | None:
    """Return the object, or None when there is none yet, or one that its maker still fills.

    Raises ``NotPermitted`` for one that is not this user's or that cannot be used, and
    ``KernelObjectError`` for something else in its place, or for one that is too small.
    """
    kind, name, size = awaited
    found = existing.find(kind, name)
    if found is None:
        if kind not in existing.SYSV and os.path.lexists(existing.path(kind, str(name))):
            raise in_use.squatted(str(name))
        return None
    user = os.geteuid()
    if user != found.uid or user != found.owner:
        other = found.owner if found.uid == user else found.uid
        raise NotPermitted(
            f"{awaited} was not made by this user: uid {other} has it",
            "whoever made it could change it at any time: choose another key or path",
        )
    if found.mode & 0o600 != 0o600:
        raise NotPermitted(
            f"{awaited} has mode {found.mode:03o}: this user may not read and write it",
            "its maker should give at least 0600",
        )
    # A file grows after it was made; a segment cannot, and a queue does not.
    room = found.size if kind == "sysv_shm" else _room(int(name)) if kind == "sysv_queue" else size
    if room < size:
        raise KernelObjectError(
            f"{awaited} has {room} bytes, {size} are needed", "it was made for something else"
        )
    return None if _lack(awaited, found) else found


def lack(awaited: Awaited) -> str:
    """Return what an object that is there still lacks, in words; "" for none, and for nothing."""
    found = existing.find(awaited.kind, awaited.name)
    return "" if found is None else _lack(awaited, found)


def _lack(awaited: Awaited, found: Found) -> str:
    kind, name, size = awaited
    if kind == "file" and found.size < size:
        return f"it has {found.size} of {size} bytes"
    if kind == "file" and not _alone(str(name)):
        return "it still has the name under which it is filled"
    if kind == "sysv_sem" and not _begun(found):
        return "it has no value yet"
    return "nobody listens there" if kind == "socket" and not in_use.bound(str(name)) else ""


def _room(key: int) -> int:
    """Return how many bytes of messages a queue holds (msg_qbytes); 0 when it has just gone."""
    try:
        return int(sysv_ipc.MessageQueue(key).max_size)
    except sysv_ipc.Error:
        return 0


def _alone(path: str) -> bool:
    try:
        return os.lstat(path).st_nlink == 1
    except FileNotFoundError:
        return False


def _begun(found: Found) -> bool:
    """Tell whether a semaphore has had its first value: semget(2) and SETVAL are two steps.

    Before the second one its value is any; on Linux 0, as is its otime until the first semop(2).
    The lecture's programs set a value and do no semop: a value above 0 says as much.
    """
    rows = [row for row in existing.listed("sem") if row["semid"] == found.id]
    return any(row["otime"] or sysv.get_value(row["key"]) for row in rows)


def _open_to_others(awaited: Awaited, found: Found) -> str:
    """Return what to say of an object that other users may use, too ("": they may not)."""
    # Of a socket, to connect is to write, and there is nothing to read: unix(7).
    rights = [(0o002, "change"), (0o020, "change")]
    if awaited.kind != "socket":
        rights += [(0o004, "read"), (0o040, "read")]
    bit, may = next((each for each in rights if found.mode & each[0]), (0, ""))
    if not may:
        return ""
    who = "every user of this machine" if bit & 0o007 else "every member of its group"
    return (
        f"{awaited} has mode {found.mode:03o}: {who} may {may} it "
        "(its maker gave it that; 0600 is enough)"
    )


def _stranger(awaited: Awaited, found: Found, pids: Collection[int], group: str) -> str:
    """Return why an object was not made by the group's processes ``pids`` ("" when it may be)."""
    if not found.creator or found.creator in pids or _session(found.creator) in pids:
        return ""
    return f"{awaited} was made by process {found.creator}, which is none of {group}"


def _session(pid: int) -> int:
    try:
        return os.getsid(pid) if names.start_time(pid) is not None else 0
    except OSError:
        return 0
