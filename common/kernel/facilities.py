"""What is built into this kernel, this Python and this machine that the lab can use.

Each is tried, not read from a version: looked up by a name that nobody has, which a kernel without
the facility refuses in another way. Nothing is made that outlives the look.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import platform
import shutil
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass

import posix_ipc
import sysv_ipc

from common import names
from common.kernel.libc import bare, pthreads

# Seconds of uptime for which a stamp is exact to the nanosecond in a double: 2**52 ns.
EXACT = (1 << 52) / 1e9
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Makes a small file system in a mount namespace of its own: it is gone with that.
_MOUNT = ("unshare", "--mount", "mount", "-t", "tmpfs", "-o", "size=64k", "lab", "/tmp")
_SECONDS = 10


@dataclass(frozen=True)
class Facility:
    """One thing that is there or not; ``says`` is more about it, ``needed`` what for."""

    name: str
    there: bool
    says: str
    needed: str


def all_of() -> list[Facility]:
    """Return every facility that a part of the lab uses, whether it is there or not."""
    tried: tuple[tuple[str, Callable[[], str], str], ...] = (
        ("System V IPC", _sysv, "every run: its start gate is a semaphore"),
        ("timeouts of sysv_ipc", _timeouts, "nothing: the lab has a wait of its own"),
        ("POSIX semaphores and shared memory", _posix, "posix_sem, posix_shm and some channels"),
        ("POSIX message queues", _posix_queues, "posix_queue"),
        ("robust mutexes", _robust, "robust_mutex, monitor"),
        ("OFD locks", _ofd, "ofd_lock"),
        ("pidfd", _pidfd, "every run: its processes are watched by them"),
        ("mount(2)", _mount, "a fault that fills a small disk"),
        ("C compiler", lambda: _program("cc"), "contrib in C, and `bench` against C"),
        ("perl", lambda: _program("perl"), "contrib in Perl"),
        ("Chromium", _browser, "the test of the HTML page alone"),
    )
    return [_tried(name, look, needed) for name, look, needed in tried]


def here() -> dict[str, object]:
    """Return what else one wants to know of this machine: Python, kernel, cores, uptime (s)."""
    uptime = time.monotonic()
    return {
        "python": platform.python_version(),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0)),
        "uptime_s": round(uptime),
        "stamps": "exact to the nanosecond"
        if uptime < EXACT
        else "exact to some nanoseconds: the machine has been up for more than 52 days",
    }


def _tried(name: str, look: Callable[[], str], needed: str) -> Facility:
    try:
        return Facility(name, True, look(), needed)
    except (OSError, ValueError, sysv_ipc.Error, posix_ipc.Error, LookupError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Facility(name, False, f"unsupported here: {reason}", needed)


def _sysv() -> str:
    try:
        sysv_ipc.Semaphore(names.new_key())
    except sysv_ipc.ExistentialError:
        # The kernel looked for it. Whether it also tells what there is, the ledger needs to know.
        with open("/proc/sysvipc/sem", encoding="ascii") as file:
            file.readline()
        return ""
    raise LookupError("a semaphore has a key that was drawn just now")


def _timeouts() -> str:
    if not sysv_ipc.SEMAPHORE_TIMEOUT_SUPPORTED:
        raise LookupError("this build of sysv_ipc ignores them")
    return ""


def _posix() -> str:
    try:
        posix_ipc.Semaphore(f"/lab-{names.new_token()}-0")
    except posix_ipc.ExistentialError:
        if not os.access("/dev/shm", os.W_OK | os.X_OK):
            raise LookupError("/dev/shm is not there, or not writable") from None
        return ""
    raise LookupError("a semaphore has a name that was drawn just now")


def _posix_queues() -> str:
    try:
        posix_ipc.MessageQueue(f"/lab-{names.new_token()}-0")
    except posix_ipc.ExistentialError:
        return ""
    raise LookupError("a queue has a name that was drawn just now")


def _robust() -> str:
    with mmap.mmap(-1, mmap.PAGESIZE) as memory:
        pthreads.init_mutex(bare.address_of(memoryview(memory)), robust=True)
    return ""


def _ofd() -> str:
    record = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    with tempfile.TemporaryFile() as file:
        fcntl.fcntl(file, fcntl.F_OFD_GETLK, record)
    return ""


def _pidfd() -> str:
    os.close(os.pidfd_open(os.getpid()))
    return ""


def _mount() -> str:
    try:
        done = subprocess.run(
            _MOUNT, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise LookupError("unshare(1) does not answer") from None
    if done.returncode:
        lines = done.stderr.splitlines()
        raise LookupError(lines[0] if lines else "unshare(1) failed")
    return "in a mount namespace"


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise LookupError(f"no {name} in PATH")
    return found


def _browser() -> str:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        raise LookupError("none of " + ", ".join(BROWSERS) + " in PATH")
    return found
