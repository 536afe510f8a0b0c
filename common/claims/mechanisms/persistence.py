"""Persistence: how long an object, and what it holds, stays when its users have gone."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import posix_ipc
import sysv_ipc

from common import names
from common.claims.claim import DEPENDS, FAILS, HOLDS, Shown, claim, holds
from common.claims.lab import PATIENCE, Lab
from common.claims.mechanisms.pipes import at_once
from common.kernel import existing

WORDS = b"8 bytes."
# File systems that end with the machine's power: their files are in its memory.
IN_MEMORY = ("tmpfs", "ramfs", "mqueue", "devtmpfs")


@claim("A10", 56, "Pipes and FIFOs last until the last process that has them open closes them.")
@claim("B31", 28, "Pipes disappear when the last process closes them.")
@claim("B32", 28, "FIFOs persist after all processes have closed them.")
def process_persistent(lab: Lab) -> dict[str, Shown]:
    """A child writes 8 bytes into a pipe and a FIFO; all close; then both are opened again.

    The pipe by a descriptor opened with O_PATH, which names it and does not open it (open(2)).
    """
    reading, writing = os.pipe()
    name = os.open(f"/proc/self/fd/{reading}", os.O_PATH)
    pipe = _closed_by_all(lab, f"/proc/self/fd/{name}", [reading, writing])
    lab.note(f"a pipe: {pipe.opened!r} in time, {pipe.later!r} after all have closed it")
    path = lab.maker.fifo("orders")
    fifo = _closed_by_all(lab, path, [os.open(path, os.O_RDWR)])
    stays = Path(path).exists()
    lab.note(f"a FIFO: {fifo.opened!r} in time, {fifo.later!r} after; its name is there: {stays}")
    last = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    _write(lab, path)
    kept = at_once(last)
    lab.note(f"with a reader still there, a dead writer's bytes are kept: {kept!r}")
    lost = pipe.later == b"" and fifo.later == b""
    return {
        "A10": _both(lost, not stays, "their data goes", "a FIFO's name stays"),
        "B31": holds(
            pipe.opened == WORDS and pipe.later == b"",
            f"{pipe.later!r} left",
            "with its last descriptor a pipe loses what is in it",
        ),
        "B32": _both(stays, fifo.later == WORDS, "the name persists", "the data does not"),
    }


class _Read(NamedTuple):
    opened: bytes
    later: bytes


def _closed_by_all(lab: Lab, path: str, ends: list[int]) -> _Read:
    """Write to ``path`` and read it while it is open, then once more after all have closed it."""
    _write(lab, path)
    again = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    opened = at_once(again)
    _write(lab, path)
    for end in [*ends, again]:
        os.close(end)
    later = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return _Read(opened, at_once(later))
    finally:
        os.close(later)


def _write(lab: Lab, path: str) -> None:
    lab.fork(lambda tell: os.write(os.open(path, os.O_WRONLY | os.O_NONBLOCK), WORDS)).ended()


def _both(first: bool, second: bool, if_first: str, unless_second: str) -> Shown:
    """Return HOLDS for both halves of a sentence, DEPENDS for one of them."""
    verdict = HOLDS if first and second else DEPENDS if first or second else FAILS
    right = if_first if first else f"not so: {if_first}"
    return Shown(verdict, right, right + ("" if second else f", but {unless_second}"))


class _Object(NamedTuple):
    """An object by its kind and name, how it is made with a value in it, and how that is seen."""

    kind: str
    name: str | int
    make: Callable[[], object]
    look: Callable[[], object]


def _objects(lab: Lab) -> list[_Object]:
    """Return six objects that are not made yet; all are in the ledger."""
    keys = [names.new_key() for _ in range(3)]
    posix = [f"/lab-{names.new_token()}-{number}" for number in range(3)]
    x, p = sysv_ipc.IPC_CREX, posix_ipc.O_CREX
    first = [
        _Object(
            "sysv_shm", keys[0],
            lambda: sysv_ipc.SharedMemory(keys[0], x, 0o600, 8, b"\0").write(WORDS),
            lambda: bytes(sysv_ipc.SharedMemory(keys[0]).read(8)),
        ),
        _Object(
            "sysv_sem", keys[1],
            lambda: sysv_ipc.Semaphore(keys[1], x, 0o600, 8),
            lambda: sysv_ipc.Semaphore(keys[1]).value,
        ),
        _Object(
            "sysv_queue", keys[2],
            lambda: sysv_ipc.MessageQueue(keys[2], x, 0o600).send(WORDS, block=False),
            lambda: sysv_ipc.MessageQueue(keys[2]).receive(block=False)[0],
        ),
        _Object(
            "posix_shm", posix[0],
            lambda: os.write(posix_ipc.SharedMemory(posix[0], p, 0o600, 8).fd, WORDS),
            lambda: os.read(posix_ipc.SharedMemory(posix[0]).fd, 8),
        ),
        _Object(
            "posix_sem", posix[1],
            lambda: posix_ipc.Semaphore(posix[1], p, 0o600, 8),
            lambda: posix_ipc.Semaphore(posix[1]).value,
        ),
        _Object(
            "posix_queue", posix[2],
            lambda: posix_ipc.MessageQueue(posix[2], p, 0o600, 1, 8).send(WORDS, 0),
            lambda: posix_ipc.MessageQueue(posix[2]).receive(0)[0],
        ),
    ]  # fmt: skip
    for each in first:
        lab.intend(each.kind, each.name)
    return first


@claim("A11", 60, "Queues, semaphores and shared memory last until they are deleted, or a reboot.")
def kernel_persistent(lab: Lab) -> Shown:
    """A process makes six objects, puts a value into each and ends; then they are looked at."""
    objects = _objects(lab)
    maker = lab.fork(lambda tell: [each.make() for each in objects])
    lab.note(f"the process that made them has ended with status {maker.ended()}")
    _elsewhere(lab, objects[0])
    stayed, gone = [], []
    for each in objects:
        with contextlib.suppress(sysv_ipc.Error, posix_ipc.Error, OSError):
            if each.look() in (WORDS, 8):
                stayed.append(each.kind)
        found = existing.find(each.kind, each.name)
        if found:
            existing.remove(each.kind, each.name, found)
        try:
            each.look()
        except (sysv_ipc.ExistentialError, posix_ipc.ExistentialError) as error:
            gone.append(each.kind)
            lab.note(f"{each.kind}: {each.kind in stayed and 'value there'}; removed: {error}")
    return holds(
        len(stayed) == len(gone) == len(objects),
        f"{len(stayed)} of {len(objects)} stayed",
        "each outlived its maker with its value, and was gone when it was removed",
    )


def _elsewhere(lab: Lab, segment: _Object) -> None:
    """Note whether a new IPC namespace has the segment, where one may be made."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return
    words = [unshare, "--user", "--map-root-user", "--ipc", "cat", "/proc/sysvipc/shm"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)
    if done.returncode == 0:
        seen = str(segment.name) in done.stdout.split()
        lab.note(f"a process in an IPC namespace of its own sees them: {seen}")


@claim("A12", 64, "Queues, semaphores and shared memory made as mapped files last until deleted.")
def file_persistent(lab: Lab) -> Shown:
    """A process makes the POSIX kinds and a file, and ends; what stays, and where, is looked up."""
    objects = _objects(lab)[3:]
    file = lab.directory / "exchange.dat"
    lab.fork(lambda tell: [*(each.make() for each in objects), file.write_bytes(WORDS)]).ended()
    systems = _file_systems()
    stayed, where = [], {}
    for each in objects:
        found = existing.find(each.kind, each.name)
        stayed.append(found is not None)
        where[each.kind] = _lives(each, systems)
        if found:
            existing.remove(each.kind, each.name, found)
    stayed.append(file.read_bytes() == WORDS)
    on = systems.get(file.stat().st_dev, "a file system unknown")
    lab.note(f"after their maker's end there: {sum(stayed)} of {len(stayed)}")
    for kind, system in where.items():
        lab.note(f"{kind} lives in {system}")
    lab.note(f"a file that is mapped lives where its path says: here on {on}")
    memory = [kind for kind, system in where.items() if system in IN_MEMORY]
    return _until_deleted(all(stayed), memory)


def _until_deleted(stayed: bool, memory: list[str]) -> Shown:
    verdict = FAILS if not stayed else DEPENDS if memory else HOLDS
    return Shown(
        verdict,
        f"{len(memory)} of 3 in memory",
        f"all outlive their processes, but {', '.join(memory)} end with the machine's power; "
        "only a file on a disk stays" if memory else "all of them are files on a disk",
    )  # fmt: skip


def _lives(each: _Object, systems: dict[int, str]) -> str:
    """Return the type of the file system an object lives in."""
    if each.kind != "posix_queue":
        path = existing.path(each.kind, str(each.name))
        return systems.get(path.stat().st_dev, "unknown") if path.exists() else "unknown"
    # A queue's descriptor is a file's on Linux (mq_overview(7)); its file system needs no mount.
    queue = posix_ipc.MessageQueue(str(each.name), write=False)
    try:
        device = os.fstat(queue.mqd).st_dev
    finally:
        queue.close()
    return systems.get(device, "mqueue" if os.major(device) == 0 else "unknown")


def _file_systems() -> dict[int, str]:
    """Return the type of each mounted file system by its device (proc(5): mountinfo)."""
    found = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        major, minor = map(int, fields.split()[2].split(":"))
        found[os.makedev(major, minor)] = rest.split()[0]
    return found
