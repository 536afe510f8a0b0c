"""What the limits of this machine are, how much is used, and what that leaves room for."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from common import names
from common.kernel import existing, limits

# What the lab's own messages take, for saying how many fit: a job of the spooler, a small order.
MESSAGE = 64
# A history's record, for saying how many fit: ten doubles.
RECORD = 80


@dataclass(frozen=True)
class Reading:
    """One limit. ``value`` is None where there is none, or where it cannot be read.

    ``used`` is None where the kernel does not say; ``allows`` says what that leaves room for, and
    ``mend`` is the command that raises it.
    """

    name: str
    value: int | None
    used: int | None
    allows: str
    mend: str = ""


def all_of(run_dir: Path) -> list[Reading]:
    """Return every limit that a run can meet; what cannot be read says so, and is no error.

    ``run_dir`` is where runs would be stored.
    """
    found: list[Reading] = []
    for what, read in (
        ("System V IPC", _sysv),
        ("System V messages", _sysv_messages),
        ("POSIX message queues", _posix_queues),
        ("/dev/shm", _shared_memory),
        ("open files", _descriptors),
        ("processes", _processes),
        ("memory", _memory),
        ("disk", lambda: _disk(run_dir)),
        ("socket paths", _socket_paths),
    ):
        found += _readable(what, read)
    return found


def _readable(what: str, read: Callable[[], list[Reading]]) -> list[Reading]:
    try:
        return read()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        where = f" ({error.filename})" if isinstance(error, OSError) and error.filename else ""
        return [Reading(what, None, None, f"unsupported here: {reason}{where}")]


def _sysv() -> list[Reading]:
    found = []
    for kind, each in (
        ("sysv_sem", "locks or start gates"),
        ("sysv_shm", "tables or one-slot channels"),
        ("sysv_queue", "queues"),
    ):
        limit = limits.sysv(kind)
        free = max(0, limit.value - limit.used)
        found.append(
            Reading(limit.name, limit.value, limit.used, f"{free} more {each}", limit.raised())
        )
    semmsl, semmns, _semopm, _semmni = limits.sem()
    semaphores = sum(row["nsems"] for row in existing.listed("sem"))
    found.append(
        Reading(
            "semaphores of one set (semmsl, first of kernel.sem)", semmsl, None,
            f"one lock a row for up to {semmsl} rows",
        )
    )  # fmt: skip
    found.append(
        Reading(
            "semaphores in all (semmns, second of kernel.sem)", semmns, semaphores,
            f"{max(0, semmns - semaphores)} more",
        )
    )  # fmt: skip
    return found


def _sysv_messages() -> list[Reading]:
    longest, bytes_ = limits.kernel("msgmax"), limits.kernel("msgmnb")
    return [
        Reading("bytes of a message (kernel.msgmax)", longest, None,
                f"message_size up to {longest}", f"sysctl kernel.msgmax={2 * longest}"),
        Reading("bytes of a queue (kernel.msgmnb)", bytes_, None,
                f"{bytes_ // MESSAGE} messages of {MESSAGE} bytes before a sender waits",
                f"sysctl kernel.msgmnb={2 * bytes_}"),
    ]  # fmt: skip


def _posix_queues() -> list[Reading]:
    found = []
    for name, what, allows in (
        ("queues_max", "POSIX queues", "{} on the machine"),
        ("msg_max", "messages of a POSIX queue", "capacity up to {}"),
        ("msgsize_max", "bytes of a message of a POSIX queue", "message_size up to {}"),
    ):
        value = limits.mqueue(name)
        said = "as many as you like" if value is None else allows.format(value)
        mend = "" if value is None else f"sysctl fs.mqueue.{name}={2 * value}"
        found.append(Reading(f"{what} (fs.mqueue.{name})", value, None, said, mend))
    allowed = limits.queue_bytes_allowed()
    each = limits.queue_bytes(10, MESSAGE)
    found.append(
        Reading(
            "bytes of all POSIX queues of a user (RLIMIT_MSGQUEUE)", allowed, None,
            "as many as you like" if allowed is None
            else f"{allowed // each} queues of 10 messages of {MESSAGE} bytes",
            "" if allowed is None else f"ulimit -q {2 * allowed}",
        )
    )  # fmt: skip
    return found


def _shared_memory() -> list[Reading]:
    status = os.statvfs(limits.SHM)
    size, free = status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize
    mend = f"mount -o remount,size={2 * size} {limits.SHM}"
    room = f"{free} bytes are free for POSIX objects"
    if not os.access(limits.SHM, os.W_OK | os.X_OK):
        room, mend = "unsupported here: it is not writable", f"chmod 1777 {limits.SHM}"
    return [Reading(f"bytes of {limits.SHM}", size, size - free, room, mend)]


def _descriptors() -> list[Reading]:
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = files == resource.RLIM_INFINITY
    used = sum(1 for _ in Path("/proc/self/fd").iterdir())
    room = max(0, files - limits.LAUNCHER_FDS - used) // limits.LAUNCHER_FDS_EACH
    return [
        Reading(
            "open files of a process (ulimit -n)", None if unlimited else files, used,
            "as many as you like" if unlimited else f"runs of up to {room} processes",
            "" if unlimited else f"ulimit -n {most if most > files else 2 * files}",
        )
    ]  # fmt: skip


def _processes() -> list[Reading]:
    everything = limits.processes_in_use()
    found = []
    for name in ("pid_max", "threads-max"):
        value = limits.kernel(name)
        room = f"{max(0, value - everything)} more processes"
        mend = f"sysctl kernel.{name}={2 * value}"
        found.append(Reading(f"processes (kernel.{name})", value, everything, room, mend))
    own = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    if own == resource.RLIM_INFINITY or os.geteuid() == 0:
        room = "as many as you like" + ("; root is not held to it" if os.geteuid() == 0 else "")
        found.append(Reading("processes of this user (ulimit -u)", None, None, room))
    else:
        used = limits.own_threads()
        room = f"{max(0, own - used)} more processes"
        mend = f"ulimit -u {2 * own}"
        found.append(Reading("processes of this user (ulimit -u)", own, used, room, mend))
    return found


def _memory() -> list[Reading]:
    free = limits.available_memory()
    room = f"{free // limits.CHILD_BYTES} processes of {limits.CHILD_BYTES >> 20} MiB"
    return [Reading("bytes of memory to be had (MemAvailable)", free, None, room)]


def _disk(run_dir: Path) -> list[Reading]:
    limit = limits.disk(run_dir)
    room = f"histories of {limit.value // RECORD} records"
    return [Reading(limit.name, limit.value, None, room, limit.mend)]


def _socket_paths() -> list[Reading]:
    length = len(os.fsencode(names.longest_runtime_directory()))
    room = limits.SOCKET_PATH_MAX - length - 1
    said = (
        f"names of {room} bytes in the runtime directory"
        if room >= limits.SOCKET_NAME
        else f"no run: a socket's name takes {limits.SOCKET_NAME} bytes, {max(0, room)} are left"
    )
    mend = "export XDG_RUNTIME_DIR=/run/user/$(id -u), or unset XDG_RUNTIME_DIR"
    return [Reading("bytes of a socket path (unix(7))", limits.SOCKET_PATH_MAX, length, said, mend)]
