"""What still works when a disk or the descriptors run out, and what a SIGBUS does to Python."""

from __future__ import annotations

import errno
import mmap
import os
import resource
import signal
import socket
from pathlib import Path

import pytest

from common.kernel import small_disk
from common.kernel.channels import sysv_queue
from common.kernel.libc import mounts
from common.kernel.locks import sysv_sem
from common.kernel.objects import Maker
from common.kernel.tables import sysv_shm
from common.kernel.waits import Wait
from tests.conftest import Fork


def refused(number: int) -> pytest.RaisesExc[OSError]:
    """Expect a call to be refused with this error number."""
    return pytest.raises(OSError, match=os.strerror(number))


@pytest.mark.skipif(not small_disk.allowed(), reason="mounting needs CAP_SYS_ADMIN")
def test_names_can_be_made_on_a_full_disk(tmp_path: Path, fork: Fork) -> None:
    """A FIFO and a socket take no block: only what is written into a file finds no room."""

    def on_a_small_disk() -> None:
        mounts.leave_mounts()
        mounts.mount_tmpfs(tmp_path, 1 << 16)
        small_disk.fill(tmp_path)
        os.mkfifo(tmp_path / "fifo")
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(tmp_path / "socket"))
        with open(tmp_path / "file", "wb", buffering=0) as file, refused(errno.ENOSPC):
            file.write(b"x")
        mounts.unmount(tmp_path)

    assert fork(on_a_small_disk).ended() == 0


def test_system_v_objects_need_no_descriptor(maker: Maker, fork: Fork) -> None:
    """Where not even a file can be opened, table, lock and queue of a run can."""
    table = sysv_shm.make(sysv_shm.Options(), 96, maker)
    lock = sysv_sem.make(sysv_sem.Options(), maker)
    queue = sysv_queue.make(sysv_queue.Options(), 64, {}, maker)

    def use_them() -> None:
        wait = Wait(10.0)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
        for ask in (lambda: os.open("/", os.O_RDONLY), os.pipe):
            with refused(errno.EMFILE):
                ask()
        memory = sysv_shm.attach(table)
        guard = sysv_sem.attach(lock, wait, "the till")
        guard.acquire()
        memory.cells[2] = 10.0
        guard.release()
        sysv_queue.attach(queue, "send", wait, "jobs").send(b"a job")
        assert sysv_queue.attach(queue, "receive", wait, "jobs").receive() == b"a job"

    assert fork(use_them).ended() == 0


def test_a_python_handler_of_sigbus_never_runs(tmp_path: Path, fork: Fork) -> None:
    """The store is tried again and again, for ever: so a process of the lab dies of it instead."""
    path, told = tmp_path / "table", tmp_path / "told"
    path.write_bytes(bytes(mmap.PAGESIZE))

    def touch_what_is_gone() -> None:
        signal.signal(signal.SIGBUS, lambda *_: told.write_text("handled"))
        # In time that the process itself uses (s): whoever spins comes to it.
        signal.setitimer(signal.ITIMER_PROF, 0.05)
        with path.open("r+b") as file, mmap.mmap(file.fileno(), mmap.PAGESIZE) as memory:
            file.truncate(0)
            memory[0] = 1

    assert fork(touch_what_is_gone).ended() == -signal.SIGPROF
    assert not told.exists()
