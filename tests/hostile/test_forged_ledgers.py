"""A ledger of one's own that names what its run did not make: it stays, whatever is written there.

Any program of this user can write such a ledger; none can set when a file or an object was made.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sysv_ipc

from common import names
from common.kernel import existing, leftovers
from common.kernel.ledger import FILE, Ledger, read_ledger
from common.kernel.leftovers import clean, remove_dead
from common.kernel.libc import births
from common.kernel.objects import Maker
from tests.conftest import Fork
from tests.kernel.dead_runs import FIXED, killed_run, second_maker

KINDS = ("fifo", "socket")


def make(kind: str, path: Path) -> None:
    """Make a FIFO or a socket as any program does."""
    if kind == "fifo":
        os.mkfifo(path)
    else:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(path))


def make_as_asked(kind: str, maker: Maker, path: Path) -> None:
    """Have a run make it at this path."""
    if kind == "fifo":
        maker.fifo("asked", str(path))
    else:
        maker.socket("asked", socket.SOCK_STREAM, str(path))[1].close()


def until_the_next_tick(directory: Path, path: Path) -> None:
    """Make files until one is younger than ``path``: the kernel's clock for them has steps."""
    probe = directory / "probe"
    while True:
        probe.touch()
        made, there = births.born(str(probe)), births.born(str(path))
        probe.unlink()
        if made is None or there is None:
            pytest.skip("this file system does not tell when a file was made")
        if made > there:
            return


def as_intended(ledger: Ledger, entry: int, path: Path) -> None:
    """Nothing beside the intention."""


def as_made(ledger: Ledger, entry: int, path: Path) -> None:
    """With the inode that it has."""
    ledger._write(event="made", entry=entry, id=path.lstat().st_ino)


def as_made_with_its_birth(ledger: Ledger, entry: int, path: Path) -> None:
    """With all that the lab writes of what it made."""
    ledger.made(entry, id=path.lstat().st_ino)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("claim", [as_intended, as_made, as_made_with_its_birth])
def test_what_is_older_than_the_ledger_stays(
    fork: Fork, tmp_path: Path, kind: str, claim: Callable[[Ledger, int, Path], None]
) -> None:
    """It is named with the command that removes it, and the directory stays with the claim."""
    path = tmp_path / "asked"
    make(kind, path)
    until_the_next_tick(tmp_path, path)

    def forge(maker: Maker) -> None:
        ledger = maker._ledger
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("time.time", lambda: 0.0)
            entry = ledger.intend(kind, str(path), asked_for=True)
        claim(ledger, entry, path)

    killed_run(fork, tmp_path / "run", forge)
    (said,) = clean(tmp_path / "run") or []
    assert "older than the ledger" in said
    assert f"rm {path}" in said
    assert existing.find(kind, str(path)) is not None
    assert (tmp_path / "run" / FILE).exists()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", ["file", "link", "directory"])
def test_something_else_at_the_path_of_a_ledger_stays(
    fork: Fork, tmp_path: Path, kind: str, what: str
) -> None:
    """A name and an inode are right, and its type is not; the run's directory goes."""
    path, victim = tmp_path / "asked", tmp_path / "victim"

    def forge(maker: Maker) -> None:
        entry = maker._ledger.intend(kind, str(path), asked_for=True)
        make(kind, victim)
        {"file": path.touch, "link": lambda: path.symlink_to(victim), "directory": path.mkdir}[
            what
        ]()
        maker._ledger.made(entry, id=path.lstat().st_ino)

    killed_run(fork, tmp_path / "run", forge)
    assert clean(tmp_path / "run") == []
    assert os.path.lexists(path)
    assert existing.find(kind, str(victim)) is not None
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_another_with_the_name_and_the_inode_of_the_runs_stays(
    fork: Fork, tmp_path: Path, kind: str
) -> None:
    """An inode is used again at once: when it was made tells them apart."""
    path = tmp_path / "asked"
    state = killed_run(fork, tmp_path / "run", lambda maker: make_as_asked(kind, maker, path))
    until_the_next_tick(tmp_path, path)
    path.unlink()
    make(kind, path)
    # On ext4 it has it without our help.
    state.entries[0].id = path.lstat().st_ino
    assert remove_dead(state) == []
    assert existing.find(kind, str(path)) is not None


@pytest.mark.parametrize("kind", KINDS)
def test_another_that_came_during_a_run_is_not_removed_by_it(
    maker: Maker, tmp_path: Path, kind: str
) -> None:
    """The launcher misses its own, and leaves the one that has its name and its inode."""
    path = tmp_path / "asked"
    make_as_asked(kind, maker, path)
    until_the_next_tick(tmp_path, path)
    path.unlink()
    make(kind, path)
    maker._ledger.entries[0].id = path.lstat().st_ino
    assert maker.missing() == [f"{kind} {path}"]
    maker.remove_all()
    assert existing.find(kind, str(path)) is not None


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_made_long_after_the_last_line_of_a_ledger_stays(
    fork: Fork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A launcher died before it made it, and another program of this user did so later."""
    path = tmp_path / "asked"
    killed_run(
        fork, tmp_path / "run", lambda it: it._ledger.intend(kind, str(path), asked_for=True)
    )
    make(kind, path)
    monkeypatch.setattr(leftovers, "AFTER", -1e6)
    (said,) = clean(tmp_path / "run") or []
    assert "no longer wrote" in said
    assert existing.find(kind, str(path)) is not None


@pytest.fixture
def another() -> Iterator[Callable[[str, int], int]]:
    """Return a function that makes a semaphore or a queue as any program does; returns its id."""
    made: list[sysv_ipc.Semaphore | sysv_ipc.MessageQueue] = []

    def make_one(kind: str, key: int) -> int:
        if kind == "sysv_sem":
            made.append(sysv_ipc.Semaphore(key, sysv_ipc.IPC_CREX, mode=0o600))
        else:
            made.append(sysv_ipc.MessageQueue(key, sysv_ipc.IPC_CREX, mode=0o600))
        return int(made[-1].id)

    yield make_one
    for each in made:
        each.remove()


@pytest.mark.parametrize("kind", ["sysv_sem", "sysv_queue"])
def test_a_fixed_key_that_another_took_long_after_the_run_is_not_the_runs(
    fork: Fork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    another: Callable[[str, int], int], kind: str,
) -> None:  # fmt: skip
    """The kernel does not say who made a semaphore or a queue, but when it did."""
    key = names.new_key()
    killed_run(fork, tmp_path / "run", lambda maker: maker._ledger.intend(kind, key))
    another(kind, key)
    monkeypatch.setattr(leftovers, "AFTER", -1e6)
    (said,) = clean(tmp_path / "run") or []
    assert "no longer wrote" in said
    assert existing.find(kind, key) is not None


@pytest.mark.parametrize("kind", ["sysv_sem", "sysv_queue"])
def test_a_key_and_id_that_are_older_than_the_ledger_are_not_the_runs(
    fork: Fork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    another: Callable[[str, int], int], kind: str,
) -> None:  # fmt: skip
    """Right in every number, and made before there was a run that could have made it."""
    key = names.new_key()
    number = another(kind, key)
    killed_run(
        fork, tmp_path / "run",
        lambda it: it._ledger.made(it._ledger.intend(kind, key), id=number),
    )  # fmt: skip
    # The kernel's stamps are whole seconds: what is not older than that counts as older here.
    monkeypatch.setattr(leftovers, "STAMP_SLACK", -10.0)
    (said,) = clean(tmp_path / "run") or []
    assert "older than the ledger" in said
    assert existing.find(kind, key) is not None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lines", [1, 2])
def test_what_a_run_made_is_removed_though_its_ledger_says_less_of_it(
    fork: Fork, tmp_path: Path, kind: str, lines: int
) -> None:
    """Killed before it wrote that it was made; or written by a lab that noted no births."""
    path = tmp_path / "asked"
    state = killed_run(fork, tmp_path / "run", lambda maker: make_as_asked(kind, maker, path))
    entry = state.entries[0]
    entry.born = None
    if lines == 1:
        entry.state, entry.id = "intended", None
    (said,) = remove_dead(state)
    assert said.startswith(f"removed {kind} {path}")
    assert not os.path.lexists(path)


@pytest.mark.parametrize("kind", [*KINDS, *FIXED])
def test_what_a_run_noted_as_made_is_its_own_however_long_it_lasted(
    fork: Fork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A semaphore that is used, or a FIFO that is written to, changes long after that line."""
    key, path = names.new_key(), tmp_path / "asked"
    state = killed_run(
        fork, tmp_path / "run",
        lambda it: FIXED[kind](it, key) if kind in FIXED else make_as_asked(kind, it, path),
    )  # fmt: skip
    monkeypatch.setattr(leftovers, "AFTER", -1e6)
    (said,) = remove_dead(state)
    assert said.startswith(f"removed {kind}")
    assert existing.find(kind, key if kind in FIXED else str(path)) is None


def test_a_birth_that_is_no_number_makes_a_ledger_damaged(fork: Fork, tmp_path: Path) -> None:
    """It is refused at its line, as any other line that the lab does not write."""
    path = str(tmp_path / "asked")

    def forge(maker: Maker) -> None:
        entry = maker._ledger.intend("fifo", path, asked_for=True)
        maker._ledger._write(event="made", entry=entry, id=1, born="yesterday")

    assert killed_run(fork, tmp_path / "run", forge).bad_line == 3


@pytest.mark.parametrize("kind", FIXED)
def test_what_a_run_made_under_a_fixed_key_is_removed(
    kernel_clean: None, fork: Fork, tmp_path: Path, kind: str
) -> None:
    """Killed after it had made it, and before it could write that."""
    key = names.new_key()

    def work() -> None:
        maker = second_maker(tmp_path / "run")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Ledger, "made", lambda *_, **__: os._exit(0))
            FIXED[kind](maker, key)

    assert fork(work).ended() == 0
    (said,) = remove_dead(read_ledger(tmp_path / "run"))
    assert said.startswith(f"removed {kind}")
    assert existing.find(kind, key) is None
