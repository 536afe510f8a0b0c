"""What exists in the kernel at this moment: finds, shows and removes one object by kind and name.

Looked up in /proc/sysvipc, /dev/shm and the file system, never remembered. Nothing is removed by
pattern or by key: a System V object by its id, anything else by its full name.
"""

from __future__ import annotations

import os
import pwd
import re
import shlex
import stat
from dataclasses import dataclass
from pathlib import Path

import posix_ipc
import sysv_ipc

from common import names
from common.errors import NotPermitted

# kind -> (file in /proc/sysvipc, its column with the id, letter of ipcs(1), removal by id)
SYSV = {
    "sysv_shm": ("shm", "shmid", "m", sysv_ipc.remove_shared_memory),
    "sysv_sem": ("sem", "semid", "s", sysv_ipc.remove_semaphore),
    "sysv_queue": ("msg", "msqid", "q", sysv_ipc.remove_message_queue),
}
LARGEST_KEY = 0x7FFFFFFF

# kind -> type in the file system
_TYPES = {
    "posix_sem": stat.S_IFREG,
    "posix_shm": stat.S_IFREG,
    "posix_queue": stat.S_IFREG,
    "fifo": stat.S_IFIFO,
    "socket": stat.S_IFSOCK,
    "lock_file": stat.S_IFREG,
    "file": stat.S_IFREG,
}
# Removal by name, and where the file system shows a name (sem_overview(7), mq_overview(7)).
_POSIX = {
    "posix_sem": (posix_ipc.unlink_semaphore, "/dev/shm/sem."),
    "posix_shm": (posix_ipc.unlink_shared_memory, "/dev/shm/"),
    "posix_queue": (posix_ipc.unlink_message_queue, "/dev/mqueue/"),
}
# What lies in a run's runtime directory.
RUNTIME = ("fifo", "socket", "lock_file")
# What a scenario may ask for at a path of its own.
PLACED = ("fifo", "socket")
_POSIX_NAME = re.compile("/lab-[0-9a-f]+-[0-9]+")


@dataclass(frozen=True)
class Found:
    """An object that exists: its identity, owner and time of creation or last change (s).

    ``creator`` is the creating pid and ``attached`` the number of attached processes, where the
    kernel tells (segments); 0 elsewhere. ``owner`` is the owner's uid (``uid`` is the creator's
    where the kernel knows both), ``mode`` the nine bits of who may use it, ``size`` bytes.
    """

    id: int
    uid: int
    changed: float
    creator: int = 0
    attached: int = 0
    owner: int = -1
    mode: int = 0
    size: int = 0


def listed(table: str) -> list[dict[str, int]]:
    """Return the rows of /proc/sysvipc/``table`` (shm, sem or msg); raises ``OSError``."""
    head, *rows = Path("/proc/sysvipc", table).read_text().splitlines()
    return [_row(head, row) for row in rows]


def can_be_made(kind: str, name: str | int, directory: Path, asked_for: bool = False) -> bool:
    """Say whether a run whose runtime directory this is may make an object of this name.

    With ``asked_for`` the scenario gave the path, and it may be anywhere. A list that says
    otherwise was not written by the lab. Raises ``ValueError`` and ``TypeError`` for what cannot be
    a name at all.
    """
    if kind in SYSV:
        return type(name) is int and 0 < name <= LARGEST_KEY
    if kind not in _TYPES or b"\0" in os.fsencode(str(name)) or not isinstance(name, str):
        return False
    if kind in _POSIX:
        return _POSIX_NAME.fullmatch(name) is not None
    if kind == "file" or (asked_for and kind in PLACED):
        return name.startswith("/") or kind == "file"
    head, tail = os.path.split(name)
    return head == str(directory) and tail not in ("", ".", "..")


def find(kind: str, name: str | int, id: int | None = None) -> Found | None:
    """Return the object called ``name`` (System V: with this key); None when there is none.

    With ``id`` only that very object counts: not a later one of the same name, and also a segment
    that is removed but still attached somewhere, whose key the kernel has already taken away.
    """
    if kind in SYSV:
        table, column, _, _ = SYSV[kind]
        keys = (name, 0) if kind == "sysv_shm" and id is not None else (name,)
        head, *lines = Path("/proc/sysvipc", table).read_text().splitlines()
        for line in lines:
            # Only the row that is looked for is parsed whole: there may be thousands.
            key, number, _ = line.split(maxsplit=2)
            if int(key) in keys and id in (None, int(number)):
                row = _row(head, line)
                creator, attached = row.get("cpid", 0), row.get("nattch", 0)
                # The file shows the mode in octal, and nothing says so (ipc/util.c, "%4o").
                mode = int(str(row["perms"]), 8) & 0o777
                return Found(
                    row[column], row["cuid"], row["ctime"], creator, attached,
                    row["uid"], mode, row.get("size", 0),
                )  # fmt: skip
        return None
    try:
        status = _queue(str(name)) if kind == "posix_queue" else path(kind, str(name)).lstat()
    except (OSError, ValueError, posix_ipc.Error):
        # Whatever else the reason is: what cannot be looked at is not proven to be ours.
        return None
    if stat.S_IFMT(status.st_mode) != _TYPES[kind]:
        return None
    found = Found(
        status.st_ino, status.st_uid, status.st_ctime, owner=status.st_uid,
        mode=stat.S_IMODE(status.st_mode), size=status.st_size,
    )  # fmt: skip
    return found if id in (None, found.id) else None


def _queue(name: str) -> os.stat_result:
    # /dev/mqueue may not be mounted; a queue's descriptor is a file's on Linux (mq_overview(7)).
    queue = posix_ipc.MessageQueue(name, write=False)
    try:
        return os.fstat(queue.mqd)
    finally:
        queue.close()


def _row(head: str, line: str) -> dict[str, int]:
    return dict(zip(head.split(), map(int, line.split()), strict=True))


def path(kind: str, name: str) -> Path:
    """Return where the file system shows an object that is not System V's."""
    return Path(_POSIX[kind][1] + name[1:]) if kind in _POSIX else Path(name)


def remove(kind: str, name: str | int, found: Found) -> None:
    """Remove ``found``; nothing happens when it is gone already. Raises ``NotPermitted``."""
    try:
        if kind in SYSV:
            SYSV[kind][3](found.id)
        elif kind in _POSIX:
            _POSIX[kind][0](str(name))
        else:
            # unlink(2) takes the name itself away, never what a link points at.
            Path(str(name)).unlink()
    except (sysv_ipc.ExistentialError, posix_ipc.ExistentialError, FileNotFoundError):
        return
    except (sysv_ipc.PermissionsError, posix_ipc.PermissionsError, OSError):
        raise NotPermitted(f"{kind} {shown(name)} cannot be removed by this user") from None


def owner(found: Found) -> str:
    """Return whose an object is, as far as the kernel tells."""
    try:
        user = pwd.getpwuid(found.uid).pw_name
    except KeyError:
        user = "unknown"
    if not found.creator:
        return f"it belongs to {user} (uid {found.uid})"
    alive = "alive" if names.start_time(found.creator) is not None else "no longer alive"
    return (
        f"it belongs to {user} (uid {found.uid}), was created by process {found.creator} "
        f"({alive}) and is attached {found.attached} times"
    )


def shown(name: str | int) -> str:
    """Return a name as people and ipcs(1) write it: a key in hexadecimal, others as they are."""
    return f"{name:#010x}" if isinstance(name, int) else name


def command(kind: str, name: str | int, id: int | None = None) -> str:
    """Return the shell command that shows an object."""
    if kind not in SYSV:
        return f"ls -l {shlex.quote(str(path(kind, str(name))))}"
    letter = SYSV[kind][2]
    return f"ipcs -{letter} | grep {shown(name)}" if id is None else f"ipcs -{letter} -i {id}"
