"""The limits of this machine, how much of each is in use, and which of them a run would hit."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
from dataclasses import dataclass
from pathlib import Path

from common import names
from common.errors import MachineError
from common.kernel import closed, existing

SOCKET_PATH_MAX = 107
# Bytes of any path without its final zero byte, and of each name in it (limits.h).
PATH_MAX, NAME_MAX = 4095, 255
# The longest name of a socket in a runtime directory, as in `channel-9999`.
SOCKET_NAME = 12
# Descriptors: those of one child at its busiest, and the launcher's for each child (its report
# connection and its pidfd) beside its own.
CHILD_FDS, LAUNCHER_FDS_EACH, LAUNCHER_FDS = 6, 2, 64
# Resident memory that one forked child costs (measured: 0.7 MB; with room).
CHILD_BYTES = 2 << 20
SHM = Path("/dev/shm")
MQUEUE = Path("/proc/sys/fs/mqueue")
# What the kernel keeps for each message of a POSIX queue beside its bytes, and for each level of
# priority, of which there are no more than messages (getrlimit(2), RLIMIT_MSGQUEUE).
MESSAGE_BYTES, LEVEL_BYTES, MOST_LEVELS = 48, 48, 32768
# With this capability the sysctls do not count, but limits built into the kernel do: HARD_MSGMAX,
# HARD_MSGSIZEMAX (mq_overview(7)). None stands for no limit.
CAP_SYS_RESOURCE = 24
_HARD = {"msg_max": 65536, "msgsize_max": 16 << 20, "queues_max": None}


@dataclass(frozen=True)
class Limit:
    """One limit: its value, how much of it is used, and what to change.

    ``mend`` may hold ``{enough}``, the value that would do.
    """

    name: str
    value: int
    used: int
    mend: str

    def raised(self, enough: int | None = None) -> str:
        """Return the command that makes it ``enough`` (twice what it is)."""
        return self.mend.replace("{enough}", str(2 * self.value if enough is None else enough))


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


def mqueue(name: str) -> int | None:
    """Return what holds of fs.mqueue.``name`` for this process; None where nothing does.

    ``name`` is queues_max, msg_max or msgsize_max. Raises ``OSError`` on a kernel without POSIX
    message queues.
    """
    value = int((MQUEUE / name).read_text())
    return _HARD[name] if _may_exceed() else value


def queue_bytes(messages: int, size: int) -> int:
    """Return what a POSIX queue of so many messages of ``size`` bytes counts for its user."""
    return messages * (size + MESSAGE_BYTES) + min(messages, MOST_LEVELS) * LEVEL_BYTES


def queue_bytes_allowed() -> int | None:
    """Return how many bytes all POSIX queues of this user may have; None: as many as it likes."""
    allowed = resource.getrlimit(resource.RLIMIT_MSGQUEUE)[0]
    return None if allowed == resource.RLIM_INFINITY else allowed


def _may_exceed() -> bool:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> CAP_SYS_RESOURCE & 1)
    return False


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
            return MachineError(message, f"ipcs shows them; {limit.raised()}")
        return MachineError(message, "not their number: see kernel.shmmax and free memory")
    if kind == "posix_queue":
        return _refused_queue(reason)
    if kind in ("pipe", "socketpair"):
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return MachineError(
            f"the kernel refuses a {kind} ({reason}): a process may have {files} open files",
            "ulimit -n, fs.file-max, or fewer channels",
        )
    if os.strerror(errno.ENAMETOOLONG) in reason:
        return MachineError(
            f"the system refuses a {kind}: {reason}",
            f"a path of at most {PATH_MAX} bytes, with names of at most {NAME_MAX}",
        )
    if os.strerror(errno.ENOENT) in reason:
        return MachineError(
            f"the system refuses a {kind}: there is no directory {directory}",
            f"mkdir -p {directory}",
        )
    if os.strerror(errno.EACCES) in reason:
        return MachineError(f"the system refuses a {kind} ({reason}): {closed.told(directory)}")
    free = free_bytes(directory)
    return MachineError(
        f"the system refuses a {kind} ({reason}): {free} bytes are free in {directory}",
        f"df {directory}",
    )


def too_long(kind: str, path: str) -> str:
    """Return why nothing of this kind can have a path: it has too many bytes; "" when it can."""
    most = SOCKET_PATH_MAX if kind == "socket" else PATH_MAX
    length = len(os.fsencode(path))
    if length > most:
        return f"a path of {length} bytes: that of a {kind} has at most {most}"
    longest = max(len(os.fsencode(name)) for name in path.split("/"))
    if longest > NAME_MAX:
        return f"a path with a name of {longest} bytes: a name has at most {NAME_MAX}"
    return ""


def _refused_queue(reason: str) -> MachineError:
    message = f"the kernel refuses a posix_queue ({reason})"
    try:
        values = {name: mqueue(name) for name in _HARD}
    except OSError:
        return MachineError(
            "POSIX message queues are unsupported here: /proc/sys/fs/mqueue cannot be read",
            "a kernel built with CONFIG_POSIX_MQUEUE is needed",
        )
    if "open" in reason and "files" in reason:
        # EMFILE: it rarely means files (mq_open(3)).
        return MachineError(
            f"{message}: it would exceed RLIMIT_MSGQUEUE, {queue_bytes_allowed()} bytes in all "
            "queues of this user",
            "ulimit -q, a smaller capacity, or remove queues that are left over",
        )
    told = ", ".join(f"fs.mqueue.{name} = {value}" for name, value in values.items())
    return MachineError(f"{message}: {told}", "fewer queues, or raise the one that is too low")


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
    posix_queues: int = 0,
    posix_queue_bytes: int = 0,
) -> list[str]:
    """Return why this machine cannot run it: one sentence a limit; none when it can.

    ``processes``, semaphore ``sets``, ``segments``, ``queues``, ``posix_semaphores`` and
    ``posix_queues`` are what the run makes, ``posix_queue_bytes`` what the latter count for their
    user (see ``queue_bytes``), ``record_bytes`` what its history takes in ``run_dir``.
    """
    said = []
    try:
        for kind, need in (("sysv_sem", sets), ("sysv_shm", segments), ("sysv_queue", queues)):
            said.append(_short(sysv(kind), need))
    except OSError as error:
        said.append(f"System V IPC is unsupported on this machine: {error}")
    if posix_semaphores and not (SHM.is_dir() and os.access(SHM, os.W_OK)):
        said.append(f"POSIX semaphores are unsupported on this machine: {SHM} is not writable")
    if posix_queues:
        said += _short_of_queues(posix_queues, posix_queue_bytes)
    said += [_short(limit, need) for limit, need in _processes(processes)]
    said.append(_short(disk(run_dir), record_bytes))
    return [sentence for sentence in said if sentence]


def short_of_socket_path() -> list[str]:
    """Return why no run can bind its sockets: its runtime directory's path is too long."""
    length = len(os.fsencode(names.longest_runtime_directory())) + 1 + SOCKET_NAME
    if length <= SOCKET_PATH_MAX:
        return []
    return [
        f"bytes of a socket path (unix(7)): {length} needed, {SOCKET_PATH_MAX} allowed; "
        "mend: unset XDG_RUNTIME_DIR, or set it to a shorter directory of your own, mode 0700"
    ]


def unwritable(out: Path) -> list[str]:
    """Return why runs cannot be stored in ``out``, which need not be there yet."""
    there = _nearest(out)
    if os.access(there, os.W_OK | os.X_OK) and there.is_dir():
        return []
    return [f"runs cannot be stored in {out}: {there} is not writable; mend: choose another --out"]


def _short_of_queues(count: int, size: int) -> list[str]:
    # How much of it other runs use the kernel tells nobody: enough in all may be too little now.
    try:
        most = mqueue("queues_max")
    except OSError:
        return ["POSIX message queues are unsupported on this machine: no /proc/sys/fs/mqueue"]
    said = []
    if most is not None and count > most:
        said.append(
            f"POSIX queues (fs.mqueue.queues_max): {count} needed, {most} allowed on the machine; "
            f"mend: sysctl fs.mqueue.queues_max={count}"
        )
    allowed = queue_bytes_allowed()
    if allowed is not None and size > allowed:
        said.append(
            f"bytes of POSIX queues (RLIMIT_MSGQUEUE): {size} needed, {allowed} allowed in all "
            f"queues of a user; mend: ulimit -q {size}, or a smaller capacity"
        )
    return said


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
        used = own_threads()
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


def own_threads() -> int:
    """Return how many threads the real user has, as RLIMIT_NPROC counts (getrlimit(2))."""
    count = 0
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if directory.stat().st_uid == os.getuid():
                count += sum(1 for _ in (directory / "task").iterdir())
    return count


def disk(run_dir: Path) -> Limit:
    """Return the bytes that may be written for ``run_dir``, which need not be there yet."""
    # Its nearest ancestor that is there is on the same disk.
    there = _nearest(run_dir)
    return Limit(f"bytes of disk for {run_dir}", free_bytes(there), 0, f"df {there}, or use --out")


def _nearest(path: Path) -> Path:
    return next(each for each in (path, *path.absolute().parents) if os.access(each, os.F_OK))


def _short(limit: Limit, need: int) -> str:
    free = max(0, limit.value - limit.used)
    if need <= free:
        return ""
    return (
        f"{limit.name}: {need} needed, {free} free ({limit.used} of {limit.value} in use); "
        f"mend: {limit.raised(limit.used + need)}"
    )
