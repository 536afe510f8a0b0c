"""What only a lock file does: who has it can be read, and who removes it gives it away."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from common import names
from common.errors import KernelObjectError, NotPermitted, ObjectVanished
from common.kernel.ledger import Ledger, read_ledger, remove_directory
from common.kernel.leftovers import remove_dead
from common.kernel.locks import lock_file
from common.kernel.objects import Maker
from common.kernel.waits import Wait
from tests.conftest import Fork, Signpost


@pytest.fixture
def address(maker: Maker) -> dict[str, str]:
    """Return the address of a free one."""
    return lock_file.make(lock_file.Options(), maker)


def test_a_free_one_is_no_file_and_a_held_one_says_by_whom(
    address: dict[str, str], wait: Wait
) -> None:
    """The pid stands in it in decimal, as another program would write and read it."""
    path = Path(address["path"])
    lock = lock_file.attach(address, wait, "the till")
    assert not path.exists()
    lock.acquire()
    assert path.read_text() == str(os.getpid())
    lock.release()
    assert not path.exists()


def test_a_pid_that_is_cut_takes_no_lock(address: dict[str, str], wait: Wait, fork: Fork) -> None:
    """Half a pid would be another process's: who cannot write it whole gives its file back."""

    def enter() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, 1))
        with pytest.raises(KernelObjectError, match="the till: the pid cannot be written"):
            lock_file.attach(address, wait, "the till").acquire()

    assert fork(enter).ended() == 0
    assert lock_file.value(address) == 1


def test_a_dead_holder_is_still_named(
    address: dict[str, str], wait: Wait, fork: Fork, signpost: Callable[[], Signpost]
) -> None:
    """Nobody removes its file; what stands in it is the pid of a process that is gone."""
    inside = signpost()

    def hold() -> None:
        lock_file.attach(address, wait, "the till").acquire()
        inside.show("i")
        signal.pause()

    child = fork(hold)
    inside.see("i")
    child.kill()
    assert child.ended() == -signal.SIGKILL
    assert lock_file.holder(address) == child.pid
    assert lock_file.value(address) == 0


def test_an_unfinished_one_is_held_by_nobody_known(address: dict[str, str]) -> None:
    """Between its making and its pid, and where somebody wrote something else into it."""
    path = Path(address["path"])
    for content in ("", "me"):
        path.write_text(content)
        assert lock_file.value(address) == 0
        assert lock_file.holder(address) is None
    path.unlink()


def test_who_lost_it_does_not_remove_the_next_ones(address: dict[str, str], wait: Wait) -> None:
    """Removed from outside and taken by another, it is not given back in that one's place."""
    first, second = (lock_file.attach(address, wait, "the till") for _ in range(2))
    first.acquire()
    Path(address["path"]).unlink()
    second.acquire()
    with pytest.raises(ObjectVanished, match="the till: somebody removed its file"):
        first.release()
    assert lock_file.value(address) == 0
    second.release()
    assert lock_file.value(address) == 1


def test_a_planted_link_is_not_followed(address: dict[str, str], tmp_path: Path) -> None:
    """Whatever has its name is the held lock; what it points at is neither made nor written."""
    target = tmp_path / "target"
    Path(address["path"]).symlink_to(target)
    lock = lock_file.attach(address, Wait(0.1), "the till")
    take = lock.quick.take
    assert take is not None
    with pytest.raises(FileExistsError):
        take()
    assert lock_file.holder(address) is None
    assert not target.exists()
    Path(address["path"]).unlink()


def test_without_its_directory_there_is_no_lock(address: dict[str, str], wait: Wait) -> None:
    """Gone or closed, it is told when the lock is opened."""
    away = {"path": address["path"] + "/lock"}
    with pytest.raises(ObjectVanished, match="the directory of its file"):
        lock_file.attach(away, wait, "the till")
    if os.geteuid() != 0:
        with pytest.raises(NotPermitted, match="the till"):
            lock_file.attach({"path": "/lock"}, wait, "the till")


def test_what_a_dead_run_left_held_is_cleaned(
    fork: Fork, wait: Wait, tmp_path: Path, runtime_directory: Path, kernel_clean: None
) -> None:
    """It was never made by the launcher, and is in its ledger all the same."""

    def run() -> None:
        directory = names.make_runtime_directory()
        ledger = Ledger.create(directory, scenario="test", run_dir=str(tmp_path))
        address = lock_file.make(lock_file.Options(), Maker(ledger, directory, tmp_path))
        lock_file.attach(address, wait, "the till").acquire()

    assert fork(run).ended() == 0
    (directory,) = runtime_directory.iterdir()
    state = read_ledger(directory)
    path = Path(str(state.entries[0].name))
    assert path.exists()
    assert [sentence for sentence in remove_dead(state) if str(path) in sentence]
    assert not path.exists()
    remove_directory(directory)
