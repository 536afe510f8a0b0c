"""The limits of this machine, how much of each is in use, and which of them a run would hit."""

from __future__ import annotations

import contextlib
import os
import resource
from dataclasses import dataclass
from pathlib import Path

from common.errors import MachineError
from common.kernel import existing

SOCKET_PATH_MAX = 107
# Descriptors: those of one child at its busiest, and the launcher's for each child (its report
# connection and its pidfd) beside its own.
CHILD_FDS, LAUNCHER_FDS_EACH, LAUNCHER_FDS = 6, 2, 64
# Resident memory that one forked child costs (measured: 0.7 MB; with room).
CHILD_BYTES = 2 << 20
SHM = Path("/dev/shm")


@dataclass(frozen=True)
class Limit:
    """One limit: its value, how much of it is used, and what to change.

    ``mend`` may hold ``{enough}``, the value that would do.
    """

    name: str
    value: int
    used: int
    mend: str


def kernel(name: str) -> int:
    """Return the sysctl ``kernel.name`` (one number); raises ``OSError`` where there is none."""
    return int(Path("/proc/sys/kernel", name).read_text())


def sem() -> tuple[int, int, int, int]:
    """Return semmsl, semmns, semopm, semmni of kernel.sem (semget(2)); raises ``OSError``."""
    semmsl, semmns, semopm, semmni = map(int, Path("/proc/sys/kernel/sem").read_text().split())
    return semmsl, semmns, semopm, semmni


def sysv(kind: str) -> Limit:
    """Return the greatest number of objects of a System V kind; raises ``OSError``."""
    used = len(existing.listed(existing.SYSV[kind][0]))
    if kind == "sysv_sem":
        limit = sem()
        mend = 'sysctl kernel.sem="{} {} {} {{enough}}"'.format(*limit[:3])
        return Limit("semaphore sets (semmni, fourth of kernel.sem)", limit[3], used, mend)
    name = {"sysv_shm": "shmmni", "sysv_queue": "msgmni"}[kind]
    what = {"sysv_shm": "shared memory segments", "sysv_queue": "message queues"}[kind]
    value = kernel(name)
    return Limit(f"{what} (kernel.{name})", value, used, f"sysctl kernel.{name}={{enough}}")


def refusal(kind: str, reason: str, directory: Path = SHM) -> MachineError:
    """Return the error for an object that the kernel refused, naming the limit that it may be."""
    if kind in existing.SYSV:
        try:
            limit = sysv(kind)
        except OSError:
            return MachineError(
                "System V IPC is unsupported here: /proc/sysvipc cannot be read",
                "a kernel built with CONFIG_SYSVIPC is needed, outside of a sandbox without it",
            )
        message = (
            f"the kernel refuses a {kind} ({reason}): "
            f"{limit.used} of {limit.value} {limit.name} are in use"
        )
        if limit.used >= limit.value:
            return MachineError(message, f"ipcs shows them; {_mend(limit, limit.value * 2)}")
        return MachineError(message, "not their number: see kernel.shmmax and free memory")
    free = free_bytes(directory)
    return MachineError(
        f"the system refuses a {kind} ({reason}): {free} bytes are free in {directory}",
        f"df {directory}",
    )


def free_bytes(directory: Path) -> int:
    """Return the bytes that this user may still write in ``directory``'s file system."""
    try:
        status = os.statvfs(directory)
    except OSError:
        return 0
    return status.f_bavail * status.f_frsize


def available_memory() -> int:
    """Return the bytes of memory that can be had without swapping (MemAvailable, proc(5))."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def processes_in_use() -> int:
    """Return how many threads and processes exist on the machine (proc(5), loadavg)."""
    return int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2])


def shortages(
    processes: int,
    sets: int,
    segments: int,
    queues: int,
    record_bytes: int,
    run_dir: Path,
    posix_semaphores: int = 0,
) -> list[str]:
    """Return why this machine cannot run it: one sentence a limit; none when it can.

    ``processes``, semaphore ``sets``, ``segments``, ``queues`` and ``posix_semaphores`` are what
    the run makes, ``record_bytes`` what its history takes in ``run_dir``.
    """
    said = []
    try:
        for kind, need in (("sysv_sem", sets), ("sysv_shm", segments), ("sysv_queue", queues)):
            said.append(_short(sysv(kind), need))
    except OSError as error:
        said.append(f"System V IPC is unsupported on this machine: {error}")
    if posix_semaphores and not (SHM.is_dir() and os.access(SHM, os.W_OK)):
        said.append(f"POSIX semaphores are unsupported on this machine: {SHM} is not writable")
    said += [_short(limit, need) for limit, need in _processes(processes)]
    said.append(_short(_disk(run_dir), record_bytes))
    return [sentence for sentence in said if sentence]


def _processes(count: int) -> list[tuple[Limit, int]]:
    everything = processes_in_use()
    wanted = []
    for name in ("pid_max", "threads-max"):
        mend = f"sysctl kernel.{name}={{enough}}"
        limit = Limit(f"processes (kernel.{name})", kernel(name), everything, mend)
        wanted.append((limit, count))
    own = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    # The kernel does not hold the superuser to it; counting is for the case that may be close.
    if own != resource.RLIM_INFINITY and os.geteuid() != 0 and everything + count > own:
        used = _own_threads()
        mend = "ulimit -u {enough}"
        wanted.append((Limit("processes of this user (ulimit -u)", own, used, mend), count))
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files != resource.RLIM_INFINITY:
        used = sum(1 for _ in Path("/proc/self/fd").iterdir())
        need = max(CHILD_FDS, LAUNCHER_FDS + LAUNCHER_FDS_EACH * count)
        mend = "ulimit -n {enough}"
        wanted.append((Limit("open files of a process (ulimit -n)", files, used, mend), need))
    memory = Limit("bytes of memory", available_memory(), 0, "start fewer processes")
    wanted.append((memory, count * CHILD_BYTES))
    return wanted


def _own_threads() -> int:
    # RLIMIT_NPROC counts threads of the real uid (getrlimit(2)).
    count = 0
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if directory.stat().st_uid == os.getuid():
                count += sum(1 for _ in (directory / "task").iterdir())
    return count


def _disk(run_dir: Path) -> Limit:
    # The directory may not be there yet: its nearest ancestor is on the same disk.
    there = next(
        path for path in (run_dir, *run_dir.absolute().parents) if os.access(path, os.F_OK)
    )
    return Limit(f"bytes of disk for {run_dir}", free_bytes(there), 0, f"df {there}, or use --out")


def _mend(limit: Limit, enough: int) -> str:
    return limit.mend.replace("{enough}", str(enough))


def _short(limit: Limit, need: int) -> str:
    free = max(0, limit.value - limit.used)
    if need <= free:
        return ""
    return (
        f"{limit.name}: {need} needed, {free} free ({limit.used} of {limit.value} in use); "
        f"mend: {_mend(limit, limit.used + need)}"
    )
