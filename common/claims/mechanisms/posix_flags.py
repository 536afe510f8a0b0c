"""Flags of POSIX objects: which of them each kind heeds."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable

from common.claims.claim import DEPENDS, FAILS, HOLDS, Shown, claim, holds
from common.claims.endings import attempt
from common.claims.lab import Lab, Tell
from common.claims.mechanisms._kinds_of_objects import NEW, POSIX, SYSTEM_V, draw, make
from common.kernel import existing
from common.kernel.libc import mqueue, posix_calls, sysv_calls

FLAGS = ("O_RDONLY", "O_WRONLY", "O_RDWR", "O_CREAT", "O_EXCL", "O_NONBLOCK", "O_TRUNC")
# The lecture's table: what each kind heeds.
TABLE = {
    "posix_queue": {"O_RDONLY", "O_WRONLY", "O_RDWR", "O_CREAT", "O_EXCL", "O_NONBLOCK"},
    "posix_sem": {"O_CREAT", "O_EXCL"},
    "posix_shm": {"O_RDONLY", "O_RDWR", "O_CREAT", "O_EXCL", "O_TRUNC"},
}


@claim("A26", 126, "Semaphores take create and exclusive only; nonblocking is for queues only, …")
def table(lab: Lab) -> Shown:
    """Each flag is tried with each kind: whether it changes what comes of it."""
    tried = {"posix_queue": _queue(lab), "posix_sem": _semaphore(lab), "posix_shm": _memory(lab)}
    heeded = {}
    for kind, effects in tried.items():
        effects |= _creation(lab, kind)
        heeded[kind] = {flag for flag in FLAGS if effects[flag]}
        lab.note(f"{kind} heeds {', '.join(flag for flag in FLAGS if effects[flag])}")
    return compared(heeded)


def compared(heeded: dict[str, set[str]]) -> Shown:
    """Judge which flags were heeded; DEPENDS where there are more of them than in the table."""
    lacking = [f"{k} does not heed {flag}" for k in TABLE for flag in TABLE[k] - heeded[k]]
    more = [f"{k} heeds {flag}" for k in TABLE for flag in heeded[k] - TABLE[k]]
    pairs = len(TABLE) * len(FLAGS)
    verdict = FAILS if lacking else DEPENDS if more else HOLDS
    return Shown(
        verdict,
        f"{pairs - len(lacking) - len(more)} of {pairs} pairs as in the table",
        "; ".join(lacking + more)
        or "what the table leaves out is taken without a word, and without effect",
    )


def _creation(lab: Lab, kind: str) -> dict[str, bool]:
    name = draw(lab, kind)
    calls = POSIX[kind]
    missing = attempt(lambda: calls.open(name, os.O_RDWR))
    calls.close(calls.open(name, os.O_RDWR | os.O_CREAT))
    again = attempt(lambda: calls.open(name, NEW))
    return {"O_CREAT": missing == "ENOENT", "O_EXCL": again == "EEXIST"}


def _queue(lab: Lab) -> dict[str, bool]:
    name = lab.maker.posix_queue(2, 64)
    read, write = mqueue.mq_open(name, os.O_RDONLY), mqueue.mq_open(name, os.O_WRONLY)
    both = mqueue.mq_open(name, os.O_RDWR)
    nonblocking = mqueue.mq_open(name, os.O_RDONLY | os.O_NONBLOCK)
    found = {
        "O_NONBLOCK": attempt(lambda: mqueue.mq_receive(nonblocking, 64)) == "EAGAIN",
        "O_RDONLY": attempt(lambda: mqueue.mq_send(read, b"x")) == "EBADF",
        "O_WRONLY": attempt(lambda: mqueue.mq_receive(write, 64, 0)) == "EBADF",
        "O_RDWR": not attempt(lambda: mqueue.mq_send(both, b"x"))
        and mqueue.mq_receive(both, 64, 0) == (b"x", 0),
    }
    mqueue.mq_send(both, b"stays?")
    mqueue.mq_open(name, os.O_RDWR | os.O_TRUNC)
    return found | {"O_TRUNC": mqueue.mq_getattr(both).curmsgs == 0}


def _semaphore(lab: Lab) -> dict[str, bool]:
    name = lab.maker.posix_sem(1)

    def refused(flag: int) -> bool:
        semaphore = posix_calls.sem_open(name, flag)
        return bool(
            attempt(lambda: posix_calls.sem_trywait(semaphore))
            or attempt(lambda: posix_calls.sem_post(semaphore))
        )

    # An access mode that were heeded would refuse something.
    found = {flag: refused(getattr(os, flag)) for flag in ("O_RDONLY", "O_WRONLY", "O_RDWR")}
    doomed = lab.maker.posix_sem(1)
    posix_calls.sem_open(doomed, os.O_TRUNC)
    # Looked at as a file: in one that was cut to nothing, the first access is a SIGBUS.
    found["O_TRUNC"] = existing.path("posix_sem", doomed).stat().st_size == 0
    empty = lab.maker.posix_sem(0)

    def wait(tell: Tell) -> None:
        semaphore = posix_calls.sem_open(empty, os.O_NONBLOCK)
        tell("ready")
        posix_calls.sem_wait(semaphore)

    child = lab.fork(wait)
    child.told()
    return found | {"O_NONBLOCK": not child.asleep()}


def _memory(lab: Lab) -> dict[str, bool]:
    name = lab.maker.posix_shm(mmap.PAGESIZE)

    def mapped(flags: int, prot: int) -> str:
        fd = posix_calls.shm_open(name, flags)
        try:
            return attempt(lambda: mmap.mmap(fd, mmap.PAGESIZE, prot=prot))
        finally:
            os.close(fd)

    reading, writing = mmap.PROT_READ, mmap.PROT_WRITE
    found = {
        "O_RDONLY": not mapped(os.O_RDONLY, reading) and mapped(os.O_RDONLY, writing) == "EACCES",
        # Linux opens it so, but a mapping needs to read.
        "O_WRONLY": not mapped(os.O_WRONLY, writing),
        "O_RDWR": not mapped(os.O_RDWR, reading | writing),
        # Nothing of shared memory blocks: the flag could only be refused.
        "O_NONBLOCK": bool(mapped(os.O_RDWR | os.O_NONBLOCK, reading | writing)),
    }
    fd = posix_calls.shm_open(name, os.O_RDWR | os.O_TRUNC)
    return found | {"O_TRUNC": os.fstat(fd).st_size == 0}


@claim("A29", 149, "When O_EXCL is set and the object exists, the call fails.")
def exclusive(lab: Lab) -> Shown:
    """Objects that exist are made once more with O_EXCL (IPC_EXCL), by another process."""
    said, alone = {}, set()
    for kind, calls in POSIX.items():
        name = draw(lab, kind)
        calls.open(name, NEW)
        said[kind] = _elsewhere(lab, calls.open, name, NEW)
        alone.add(_elsewhere(lab, calls.open, name, os.O_RDWR | os.O_EXCL))
    for kind, sysv in SYSTEM_V.items():
        key, _ = make(lab, kind)
        flags = sysv_calls.IPC_CREAT | sysv_calls.IPC_EXCL | 0o600
        said[kind] = _elsewhere(lab, sysv.get, key, flags)
    for kind, what in said.items():
        lab.note(f"{kind} exists; exclusively again: {what}")
    lab.note(f"O_EXCL without O_CREAT: {'/'.join(sorted(alone))}")
    return holds(
        set(said.values()) == {"EEXIST"},
        f"{'/'.join(sorted(set(said.values())))} from {len(said)} kinds",
        "together with O_CREAT; alone it has no defined meaning"
        + (", and here none at all" if alone == {"done"} else ""),
    )


def _elsewhere(lab: Lab, call: Callable[..., object], *arguments: object) -> str:
    # In another process, as another program would do it.
    return str(lab.fork(lambda tell: tell(attempt(lambda: call(*arguments)) or "done")).told())
