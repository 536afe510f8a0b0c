"""The System V calls give what their manual pages say, field by field, and every errno."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import sysv_ipc

from common.kernel import existing, libc
from common.kernel.libc import sysv_calls
from common.kernel.objects import Maker
from tests.conftest import Fork


@pytest.fixture
def queue(maker: Maker) -> int:
    """Return the id of an empty queue."""
    return sysv_calls.msgget(maker.sysv_queue())


def number(call: Callable[[], object]) -> int | None:
    """Return the errno of a call that has to fail."""
    with pytest.raises(OSError) as caught:  # noqa: PT011
        call()
    return caught.value.errno


def test_a_message_goes_through_with_its_type_and_all_its_bytes(queue: int) -> None:
    """Any type up to the largest long, and zero bytes within; the package agrees."""
    sysv_calls.msgsnd(queue, 2**63 - 1, b"a\0b\0", libc.IPC_NOWAIT)
    assert sysv_calls.msgrcv(queue, 4) == (2**63 - 1, b"a\0b\0")
    key = sysv_calls.msg_stat(queue).owner.key
    sysv_ipc.MessageQueue(key).send(b"packaged", type=5)
    assert sysv_calls.msgrcv(queue, 64, 5) == (5, b"packaged")


def test_errors_of_queues_have_their_numbers(queue: int) -> None:
    """Empty, too long, no type, too large a message, and gone."""
    assert number(lambda: sysv_calls.msgrcv(queue, 8, 0, libc.IPC_NOWAIT)) == errno.ENOMSG
    assert number(lambda: sysv_calls.msgsnd(queue, 0, b"x")) == errno.EINVAL
    sysv_calls.msgsnd(queue, 1, b"12345")
    assert number(lambda: sysv_calls.msgrcv(queue, 4)) == errno.E2BIG
    assert sysv_calls.msgrcv(queue, 4, 0, sysv_calls.MSG_NOERROR) == (1, b"1234")
    sysv_calls.msg_remove(queue)
    assert number(lambda: sysv_calls.msg_stat(queue)) in (errno.EINVAL, errno.EIDRM)


def test_the_status_of_a_queue_is_what_proc_says(queue: int) -> None:
    """Each field stands where the structure has it: counts, pids, mode and capacity."""
    sysv_calls.msgsnd(queue, 1, b"12345")
    sysv_calls.msgsnd(queue, 1, b"123")
    sysv_calls.msgrcv(queue, 8)
    sysv_calls.msg_set(queue, qbytes=77, mode=0o640)
    status = sysv_calls.msg_stat(queue)
    (row,) = (row for row in existing.listed("msg") if row["msqid"] == queue)
    assert (row["qnum"], row["cbytes"]) == (status.qnum, status.cbytes) == (1, 3)
    assert (row["lspid"], row["lrpid"]) == (status.lspid, status.lrpid) == (os.getpid(),) * 2
    assert [row["stime"], row["rtime"], row["ctime"]] == [status.stime, status.rtime, status.ctime]
    owner = status.owner
    assert [row[name] for name in ("key", "uid", "gid", "cuid", "cgid")] == list(owner[:5])
    assert (status.qbytes, owner.mode, owner.flags) == (77, 0o640, 0)


def test_a_segment_is_attached_marked_and_gone(maker: Maker, fork: Fork) -> None:
    """Bytes that another process stored are read; its status tells attachments and SHM_DEST."""
    segment = sysv_calls.shmget(maker.sysv_shm(100), 0)

    def store() -> None:
        sysv_calls.memory(sysv_calls.shmat(segment), 100)[99] = 7

    assert fork(store).ended() == 0
    address = sysv_calls.shmat(segment, sysv_calls.SHM_RDONLY)
    assert bytes(sysv_calls.memory(address, 100)) == bytes(99) + b"\7"
    status = sysv_calls.shm_stat(segment)
    (row,) = (row for row in existing.listed("shm") if row["shmid"] == segment)
    assert [row[name] for name in ("size", "nattch", "cpid", "lpid")] == list(status[1:5])
    assert [row[name] for name in ("atime", "dtime", "ctime")] == list(status[5:])
    assert (status.segsz, status.nattch, status.owner.flags) == (100, 1, 0)
    sysv_calls.shm_remove(segment)
    assert sysv_calls.shm_stat(segment).owner[-1] == 0o1000
    sysv_calls.shmdt(address)
    assert number(lambda: sysv_calls.shmat(segment)) in (errno.EINVAL, errno.EIDRM)
    assert number(lambda: sysv_calls.shmdt(address)) == errno.EINVAL


def test_a_set_has_values_that_are_set_one_by_one_and_all_at_once(maker: Maker) -> None:
    """Values, the last pid, the number of semaphores, and the time of the first operation."""
    key = maker.sysv_sem(1)
    sysv_ipc.remove_semaphore(sysv_ipc.Semaphore(key).id)
    semid = sysv_calls.semget(key, 3, sysv_calls.IPC_CREAT | sysv_calls.IPC_EXCL | 0o600)
    try:
        assert sysv_calls.sem_stat(semid)[1:3] == (3, 0)
        sysv_calls.sem_set_values(semid, [4, 5, 6])
        sysv_calls.semctl(semid, 1, sysv_calls.SETVAL, 9)
        assert sysv_calls.sem_values(semid) == [4, 9, 6]
        assert libc.semtimedop(semid, [(2, -1, 0)], 0)
        assert sysv_calls.semctl(semid, 2, sysv_calls.GETVAL) == 5
        assert sysv_calls.semctl(semid, 2, sysv_calls.GETPID) == os.getpid()
        assert sysv_calls.semctl(semid, 2, sysv_calls.GETNCNT) == 0
        status = sysv_calls.sem_stat(semid)
        (row,) = (row for row in existing.listed("sem") if row["semid"] == semid)
        assert (row["nsems"], row["otime"], row["ctime"]) == status[1:]
        with pytest.raises(ValueError, match="2 values for 3"):
            sysv_calls.sem_set_values(semid, [1, 2])
        assert number(lambda: sysv_calls.semctl(semid, 3, sysv_calls.GETVAL)) == errno.EINVAL
    finally:
        sysv_calls.semctl(semid, 0, sysv_calls.IPC_RMID)


def test_a_key_of_no_file_is_an_error(tmp_path: Path) -> None:
    """The package says -1 there; of an existing file both say the same."""
    assert number(lambda: sysv_calls.ftok(tmp_path / "missing", 65)) == errno.ENOENT
    assert sysv_calls.ftok(tmp_path, 65) == sysv_ipc.ftok(str(tmp_path), 65, True)
