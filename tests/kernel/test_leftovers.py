"""What a dead run left is removed by its ledger; what is not proven to be of it stays."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import sysv_ipc

from common import names
from common.errors import KernelObjectError, MachineError
from common.kernel import existing
from common.kernel.ledger import FILE, Ledger, read_ledger
from common.kernel.leftovers import remove_dead
from common.kernel.objects import Maker
from tests.conftest import Fork
from tests.kernel.dead_runs import ALL, SYSV, exists, killed_run, make_everything, second_maker


def test_all_that_a_dead_run_left_is_removed_but_what_it_wanted_to_keep(
    kernel_clean: None, fork: Fork, tmp_path: Path
) -> None:
    """Each removal is told; the mapped file stays; a second time there is nothing to do."""
    state = killed_run(fork, tmp_path / "run", make_everything)
    assert exists(state) == [*ALL, "file", "socket"]
    said = remove_dead(state)
    assert exists(state) == ["file"]
    assert len(said) == len(ALL) + 1
    assert all(sentence.startswith("removed") for sentence in said)
    assert remove_dead(state) == []


def test_a_live_run_is_refused(maker: Maker) -> None:
    """Its objects stay."""
    key = maker.sysv_sem(1)
    with pytest.raises(KernelObjectError, match="alive"):
        remove_dead(read_ledger(maker.directory))
    assert existing.find("sysv_sem", key) is not None


def test_killed_at_any_point_of_its_making_a_run_leaves_nothing_that_clean_does_not_remove(
    kernel_clean: None, fork: Fork, tmp_path: Path
) -> None:
    """Killed before and after each line of the ledger, until a run passes without being killed.

    After a line that intends an object the next thing is its making, before a line that says it
    is made it exists: these are all the points there are. The keys and tokens that were drawn are
    written down apart, as evidence that does not come from the ledger.
    """
    for point in range(1000):
        directory, drawn = tmp_path / f"run{point}", tmp_path / f"drawn{point}"
        drawn.touch()

        def launch(point: int = point, directory: Path = directory, drawn: Path = drawn) -> None:
            key, token = names.new_key, names.new_token
            names.new_key = lambda: noted(drawn, key())
            names.new_token = lambda: noted(drawn, token())
            with mock.patch.object(Ledger, "_write", killer(point, Ledger._write)):
                make_everything(second_maker(directory))

        status = fork(launch).ended()
        try:
            state = read_ledger(directory)
        except MachineError:
            raise
        except Exception:
            # Killed before the first line: nothing can have been made.
            assert point == 0
            assert drawn.read_text() == ""
            continue
        remove_dead(state)
        assert set(exists(state)) <= {"file"}
        words = drawn.read_text().split()
        rows = [row for table in ("shm", "sem", "msg") for row in existing.listed(table)]
        assert [row for row in rows if str(row["key"]) in words] == []
        assert [
            p for p in Path("/dev/shm").iterdir() if any(word in p.name for word in words)
        ] == []
        assert {path.name for path in directory.iterdir()} <= {FILE, "exchange.dat"}
        if status == 0:
            assert point > 2 * len(ALL)
            return
        assert status == -signal.SIGKILL
    pytest.fail("no run passed without being killed")


def noted(path: Path, word: Any) -> Any:
    with path.open("a") as file:
        file.write(f"{word}\n")
    return word


def killer(point: int, write: Callable[..., None]) -> Callable[..., None]:
    # Even points are before a line, odd ones after it.
    count = 0

    def killing(self: Ledger, **event: Any) -> None:
        nonlocal count
        if count == point:
            os.kill(os.getpid(), signal.SIGKILL)
        write(self, **event)
        if count + 1 == point:
            os.kill(os.getpid(), signal.SIGKILL)
        count += 2

    return killing


@pytest.mark.parametrize("kind", SYSV)
def test_an_object_that_was_made_before_the_ledger_meant_it_is_left_alone(
    kernel_clean: None, fork: Fork, tmp_path: Path, maker: Maker, kind: str
) -> None:
    """Only intended, the same key, but older than the intention: it is somebody else's."""
    key = SYSV[kind](maker)

    def intend(dead: Maker) -> None:
        dead._ledger.intend(kind, key)

    state = killed_run(fork, tmp_path / "run", intend)
    state.entries[0].at += 10
    assert remove_dead(state) == []
    assert existing.find(kind, key) is not None


def test_a_segment_of_another_process_with_an_intended_key_is_left_alone(
    kernel_clean: None, fork: Fork, tmp_path: Path, maker: Maker
) -> None:
    """The kernel tells who created a segment, and it was not the dead run."""
    key = maker.sysv_shm(4096)
    state = killed_run(fork, tmp_path / "run", lambda dead: dead._ledger.intend("sysv_shm", key))
    state.entries[0].at -= 10
    assert remove_dead(state) == []
    assert existing.find("sysv_shm", key) is not None


@pytest.mark.parametrize("kind", SYSV)
def test_an_object_with_the_key_but_another_id_is_left_alone(
    kernel_clean: None, fork: Fork, tmp_path: Path, maker: Maker, kind: str
) -> None:
    """The dead run's object is gone, another has its key now."""
    key = SYSV[kind](maker)
    found = existing.find(kind, key)
    assert found is not None

    def made(dead: Maker) -> None:
        dead._ledger.made(dead._ledger.intend(kind, key), id=found.id + 1)

    assert remove_dead(killed_run(fork, tmp_path / "run", made)) == []
    assert existing.find(kind, key) == found


@pytest.mark.parametrize("kind", SYSV)
def test_after_a_reboot_the_same_key_and_id_are_somebody_elses(
    kernel_clean: None, fork: Fork, tmp_path: Path, maker: Maker, kind: str
) -> None:
    """Ids begin at 0 again with every boot, and a fixed key is used by every run."""
    key = SYSV[kind](maker)
    found = existing.find(kind, key)
    assert found is not None
    state = killed_run(
        fork,
        tmp_path / "run",
        lambda dead: dead._ledger.made(dead._ledger.intend(kind, key), id=found.id),
    )
    text = (tmp_path / "run" / FILE).read_text().replace(state.header.boot, "another boot")
    (tmp_path / "run" / FILE).write_text(text)
    assert remove_dead(read_ledger(tmp_path / "run")) == []
    assert existing.find(kind, key) == found


def test_files_outside_the_runtime_directory_are_never_removed(
    kernel_clean: None, fork: Fork, tmp_path: Path
) -> None:
    """Whatever a ledger says, by its own path or through a link in its own directory."""
    victim, others = tmp_path / "victim", tmp_path / "others"
    victim.write_text("precious")
    os.mkfifo(others)

    def trap(dead: Maker) -> None:
        dead._ledger.intend("fifo", str(victim))
        dead._ledger.intend("fifo", str(others))
        dead._ledger.intend("fifo", str(dead.directory / ".." / "others"))
        link = dead.directory / "link"
        link.symlink_to(victim)
        dead._ledger.intend("fifo", str(link))
        dead._ledger.intend("fifo", str(dead.directory / ".."))

    state = killed_run(fork, tmp_path / "run", trap)
    # Not even looked at: no such line is one of the lab's.
    assert state.damaged
    assert state.entries == []
    remove_dead(state)
    assert victim.read_text() == "precious"
    assert others.is_fifo()


def test_a_file_is_never_removed_whatever_a_ledger_says_of_it(
    kernel_clean: None, fork: Fork, tmp_path: Path
) -> None:
    """Files are kept by definition: a forged or old entry that does not say so changes nothing."""
    victim = tmp_path / "victim"
    victim.write_text("precious")

    def forge(dead: Maker) -> None:
        inside = dead.directory / "exchange.dat"
        inside.write_text("precious")
        for path in (victim, inside):
            entry = dead._ledger.intend("file", str(path), kept=False)
            dead._ledger.made(entry, id=path.stat().st_ino)

    state = killed_run(fork, tmp_path / "run", forge)
    assert len(state.entries) == 2
    assert remove_dead(state) == []
    assert victim.read_text() == "precious"
    assert (tmp_path / "run" / "exchange.dat").exists()


def test_a_private_segment_of_another_process_with_a_ledgers_id_is_left_alone(
    kernel_clean: None, fork: Fork, tmp_path: Path, maker: Maker
) -> None:
    """A removed segment has key 0, and so has every private one: the creator tells them apart."""
    private = sysv_ipc.SharedMemory(sysv_ipc.IPC_PRIVATE, sysv_ipc.IPC_CREX, size=4096)
    try:
        state = killed_run(
            fork,
            tmp_path / "run",
            lambda dead: dead._ledger.made(
                dead._ledger.intend("sysv_shm", names.new_key()), id=private.id
            ),
        )
        assert remove_dead(state) == []
        # Attached by nobody, a removed one would be gone.
        private.detach()
        assert private.id in [row["shmid"] for row in existing.listed("shm")]
    finally:
        private.remove()


def test_a_link_in_place_of_the_runtime_directory_is_not_followed(
    kernel_clean: None, fork: Fork, tmp_path: Path
) -> None:
    """A directory that was replaced by a link leads to somebody else's files."""
    state = killed_run(fork, tmp_path / "run", lambda dead: dead.fifo("orders"))
    shutil.move(tmp_path / "run", tmp_path / "moved")
    (tmp_path / "run").symlink_to(tmp_path / "moved")
    remove_dead(state)
    assert Path(str(state.entries[0].name)).is_fifo()
