"""The kinds of POSIX and System V objects, each made and looked at with its own raw calls."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

from common import names
from common.claims.claim import Shown, holds
from common.claims.lab import Lab
from common.kernel import existing
from common.kernel.libc import mqueue, posix_calls, sysv_calls

NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL
_CREATE = sysv_calls.IPC_CREAT | sysv_calls.IPC_EXCL


class Posix(NamedTuple):
    """One kind: ``open(name, flags, mode)`` returns a handle."""

    open: Callable[..., int]
    close: Callable[[int], None]
    unlink: Callable[[str], None]


def _queue(name: str, flags: int, mode: int = 0o600) -> int:
    return mqueue.mq_open(name, flags, mode, 2, 64)


POSIX = {
    "posix_queue": Posix(_queue, mqueue.mq_close, mqueue.mq_unlink),
    "posix_sem": Posix(posix_calls.sem_open, posix_calls.sem_close, posix_calls.sem_unlink),
    "posix_shm": Posix(posix_calls.shm_open, os.close, posix_calls.shm_unlink),
}


def draw(lab: Lab, kind: str) -> str:
    """Return a POSIX name that nobody has, put into the ledger."""
    name = f"/lab-{names.new_token()}-1"
    lab.intend(kind, name)
    return name


def status(kind: str, name: str, handle: int) -> os.stat_result:
    """Return mode and owner of an open POSIX object."""
    # A semaphore's handle is a pointer; /dev/mqueue may not be mounted.
    return existing.path(kind, name).stat() if kind == "posix_sem" else os.fstat(handle)


class SystemV(NamedTuple):
    """One kind: ``get(key, flags)`` returns an id, ``stat(id)`` its owner, mode and key."""

    get: Callable[[int, int], int]
    stat: Callable[[int], sysv_calls.Owner]
    remove: Callable[[int], object]


SYSTEM_V = {
    "sysv_queue": SystemV(
        sysv_calls.msgget, lambda id: sysv_calls.msg_stat(id).owner, sysv_calls.msg_remove
    ),
    "sysv_sem": SystemV(
        lambda key, flags: sysv_calls.semget(key, 1 if flags else 0, flags),
        lambda id: sysv_calls.sem_stat(id).owner,
        lambda id: sysv_calls.semctl(id, 0, sysv_calls.IPC_RMID),
    ),
    "sysv_shm": SystemV(
        lambda key, flags: sysv_calls.shmget(key, 8 if flags else 0, flags),
        lambda id: sysv_calls.shm_stat(id).owner,
        sysv_calls.shm_remove,
    ),
}


def make(lab: Lab, kind: str, mode: int = 0o600) -> tuple[int, int]:
    """Make a System V object with a random key, in the ledger; returns its key and its id."""
    while True:
        key = names.new_key()
        if existing.find(kind, key) is None:
            lab.intend(kind, key)
            return key, SYSTEM_V[kind].get(key, _CREATE | mode)


# What the lecture writes, and what it means.
_SLIPS = {"mq_setaddr": "mq_setattr", "sm_unlink": "sem_unlink", "smhdt": "shmdt"}


def listed(lab: Lab, functions: str) -> Shown:
    """Look every name of a list of functions up in this machine's C library."""
    wanted = functions.split()
    missing = [name for name in wanted if not posix_calls.offered(name)]
    lab.note(f"of {len(wanted)} names the C library lacks: {', '.join(missing) or 'none'}")
    meant = [f"{name} means {_SLIPS.get(name, 'nothing here')}" for name in missing]
    figure = f"{len(wanted) - len(missing)} of {len(wanted)} names"
    return holds(not missing, figure, "; ".join(meant) or "every name is a function here")
