"""A scenario that cannot run is told why before it starts: limit, use, need, and what to change."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Any

import pytest

from common.errors import MachineError
from common.kernel import existing, limits
from tests.conftest import Fork


def short(tmp_path: Path, **needs: Any) -> list[str]:
    nothing = {"processes": 1, "sets": 0, "segments": 0, "queues": 0, "record_bytes": 0}
    return limits.shortages(**(nothing | needs), run_dir=tmp_path)


def test_a_small_run_is_short_of_nothing(tmp_path: Path) -> None:
    """On any machine that can run these tests."""
    assert short(tmp_path, processes=4, sets=3, segments=1, record_bytes=1 << 20) == []


@pytest.mark.parametrize(
    ("needs", "words"),
    [
        ({"sets": 10**9}, ["semaphore sets", "kernel.sem", "sysctl", "1000000000 needed"]),
        ({"segments": 10**9}, ["kernel.shmmni", "sysctl kernel.shmmni="]),
        ({"queues": 10**9}, ["kernel.msgmni", "sysctl kernel.msgmni="]),
        ({"processes": 10**8}, ["kernel.pid_max", "sysctl kernel.pid_max="]),
        ({"record_bytes": 10**18}, ["bytes of disk", "df "]),
    ],
)
def test_each_limit_is_named_with_value_use_need_and_mend(
    tmp_path: Path, needs: dict[str, int], words: list[str]
) -> None:
    """The first sentence is about the limit that was exceeded."""
    sentence = short(tmp_path, **needs)[0]
    assert all(word in sentence for word in [*words, "free", "in use"]), sentence


def test_the_mend_would_do(tmp_path: Path) -> None:
    """The value that is proposed covers what is used and what is needed."""
    used = len(existing.listed("shm"))
    [sentence] = short(tmp_path, segments=10**6)
    proposed = int(sentence.rpartition("kernel.shmmni=")[2])
    assert proposed >= 10**6
    assert proposed <= used + 10**6 + 1000


def test_too_few_descriptors_are_told_with_ulimit(tmp_path: Path, fork: Fork) -> None:
    """The launcher needs two for each process."""

    def check() -> None:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        assert short(tmp_path, processes=50) == []
        [sentence] = short(tmp_path, processes=200)
        assert "ulimit -n" in sentence
        assert "256" in sentence

    assert fork(check).ended() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become a user without other processes")
def test_too_few_processes_of_a_user_are_told_with_ulimit(fork: Fork) -> None:
    """Counted by the real user; the superuser is not held to it."""
    anybodys = Path("/tmp")

    def check() -> None:
        resource.setrlimit(resource.RLIMIT_NPROC, (10, 10))
        assert short(anybodys, processes=20) == []
        os.setresuid(64321, 64321, 64321)
        [sentence] = [told for told in short(anybodys, processes=20) if "ulimit -u" in told]
        assert "20 needed, 9 free (1 of 10 in use)" in sentence

    assert fork(check).ended() == 0


def test_no_system_v_ipc_is_unsupported_and_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a sandbox: neither a shortage nor a crash."""

    def missing(table: str) -> list[dict[str, int]]:
        raise FileNotFoundError(2, "No such file or directory", f"/proc/sysvipc/{table}")

    monkeypatch.setattr(existing, "listed", missing)
    [sentence] = short(tmp_path, sets=1)
    assert "unsupported" in sentence
    error = limits.refusal("sysv_sem", "Function not implemented")
    assert isinstance(error, MachineError)
    assert "unsupported" in error.message


def test_no_shared_memory_file_system_matters_to_posix_semaphores_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without /dev/shm everything else still runs."""
    monkeypatch.setattr(limits, "SHM", tmp_path / "missing")
    assert short(tmp_path, sets=1) == []
    [sentence] = short(tmp_path, posix_semaphores=1)
    assert "unsupported" in sentence


@pytest.mark.parametrize(
    ("needs", "words"),
    [
        ({"posix_queues": 10**6}, ["fs.mqueue.queues_max", "1000000 needed", "sysctl"]),
        (
            {"posix_queues": 1, "posix_queue_bytes": 10**12},
            ["RLIMIT_MSGQUEUE", "1000000000000 needed", "ulimit -q", "capacity"],
        ),
    ],
)
def test_each_limit_of_posix_queues_is_named(
    tmp_path: Path, needs: dict[str, int], words: list[str]
) -> None:
    """With the mend; what others use of it the kernel tells nobody."""
    if None in (limits.mqueue("queues_max"), limits.queue_bytes_allowed()):
        pytest.skip("this process is held to no limit")
    [sentence] = short(tmp_path, **needs)
    assert all(word in sentence for word in words), sentence


def test_no_posix_queues_matter_only_to_who_needs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without them everything else still runs; a refusal says what is missing."""
    monkeypatch.setattr(limits, "MQUEUE", tmp_path / "missing")
    assert short(tmp_path, sets=1) == []
    [sentence] = short(tmp_path, posix_queues=1)
    assert "unsupported" in sentence
    assert "CONFIG_POSIX_MQUEUE" in limits.refusal("posix_queue", "Function not implemented").hint


def test_a_refused_queue_names_its_limits() -> None:
    """What says open files is RLIMIT_MSGQUEUE; an invalid parameter may be any of three."""
    said = "This process already has the maximum number of files open"
    full = limits.refusal("posix_queue", said)
    assert "RLIMIT_MSGQUEUE" in full.message
    assert "ulimit -q" in full.hint
    other = limits.refusal("posix_queue", "Invalid parameter(s)").message
    assert all(name in other for name in ("msg_max", "msgsize_max", "queues_max"))


def test_no_descriptors_left_for_a_pipe_are_told_with_ulimit() -> None:
    """Not the space in some directory."""
    error = limits.refusal("pipe", "[Errno 24] Too many open files")
    assert "open files" in error.message
    assert "ulimit -n" in error.hint


def test_the_disk_is_that_of_the_nearest_directory_that_exists(tmp_path: Path) -> None:
    """The run directory is not made before the machine was asked."""
    assert short(tmp_path / "runs" / "till" / "1", record_bytes=1) == []
