"""Keys and paths that a scenario asks for: made there, and refused where something is already."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from common import names
from common.errors import KernelObjectError, ObjectExists
from common.kernel import existing
from common.kernel.channels import fifo, sysv_queue, unix_stream
from common.kernel.ledger import Ledger, read_ledger
from common.kernel.leftovers import remove_dead
from common.kernel.locks import sysv_sem
from common.kernel.objects import Maker
from common.kernel.tables import mmap_file, sysv_shm
from tests.conftest import Fork

ASKED: dict[str, Callable[[Maker, int, str], object]] = {
    "sysv_shm": lambda maker, key, _: sysv_shm.make(sysv_shm.Options(key=key), 96, maker),
    "sysv_sem": lambda maker, key, _: sysv_sem.make(sysv_sem.Options(key=key), maker),
    "sysv_queue": lambda maker, key, _: sysv_queue.make(sysv_queue.Options(key=key), 64, {}, maker),
    "fifo": lambda maker, _, path: fifo.make(fifo.Options(path=path), 64, {}, maker),
    "socket": lambda maker, _, path: unix_stream.make(
        unix_stream.Options(path=path), 64, {}, maker
    ),
}


def name_of(kind: str, key: int, path: str) -> int | str:
    return key if kind in existing.SYSV else path


@pytest.mark.parametrize("kind", ASKED)
def test_what_is_asked_for_is_made_there_and_gone_afterwards(
    maker: Maker, tmp_path: Path, kind: str
) -> None:
    """An object has the key or path that the scenario gives, mode 0600, and is removed."""
    key, path = names.new_key(), str(tmp_path / "asked")
    ASKED[kind](maker, key, path)
    found = existing.find(kind, name_of(kind, key, path))
    assert found is not None
    assert found.mode == 0o600
    maker.remove_all()
    assert existing.find(kind, name_of(kind, key, path)) is None
    assert maker.leaks() == []


@pytest.mark.parametrize("kind", ASKED)
def test_what_a_dead_run_made_at_a_fixed_place_is_cleaned(
    tmp_path: Path, kernel_clean: None, fork: Fork, kind: str
) -> None:
    """A launcher that is killed leaves a ledger by which its FIFO or key outside is removed."""
    key, path = names.new_key(), str(tmp_path / "asked")
    directory = names.make_runtime_directory()

    def make_and_die() -> None:
        ledger = Ledger.create(directory, scenario="x", run_dir="/")
        ASKED[kind](Maker(ledger, directory, tmp_path), key, path)
        os._exit(0)

    assert fork(make_and_die).ended() == 0
    assert existing.find(kind, name_of(kind, key, path)) is not None
    said = remove_dead(read_ledger(directory))
    assert any(sentence.startswith(f"removed {kind}") for sentence in said), said
    assert existing.find(kind, name_of(kind, key, path)) is None
    (directory / "ledger").unlink()
    directory.rmdir()


@pytest.mark.parametrize("what", ["file", "link", "directory"])
@pytest.mark.parametrize("kind", ["fifo", "socket"])
def test_something_else_at_the_path_is_refused_and_left_alone(
    maker: Maker, tmp_path: Path, kind: str, what: str
) -> None:
    """The lecture unlinks whatever is there; the lab touches nothing that it did not make."""
    place, victim = tmp_path / "asked", tmp_path / "victim"
    victim.write_text("mine")
    if what == "file":
        place.write_text("mine")
    elif what == "link":
        place.symlink_to(victim)
    else:
        place.mkdir()
    before = place.lstat()
    with pytest.raises(ObjectExists, match="something else"):
        ASKED[kind](maker, 0, str(place))
    maker.remove_all()
    assert place.lstat().st_ino == before.st_ino
    assert victim.read_text() == "mine"


def test_a_fifo_that_somebody_reads_is_refused_with_the_reader(
    maker: Maker, tmp_path: Path, fork: Fork
) -> None:
    """Who has it open is named; afterwards the mend is rm."""
    path = tmp_path / "asked"
    os.mkfifo(path)
    told, tell = os.pipe()
    stay, leave = os.pipe()

    def read() -> None:
        os.close(leave)
        os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        os.write(tell, b"x")
        os.read(stay, 1)

    child = fork(read)
    assert os.read(told, 1) == b"x"
    with pytest.raises(ObjectExists, match=f"in use by process {child.pid}"):
        maker.fifo("x", str(path))
    for fd in (leave, stay, told, tell):
        os.close(fd)
    child.ended()
    with pytest.raises(ObjectExists) as caught:
        maker.fifo("x", str(path))
    assert f"rm {path}" in caught.value.hint


def test_another_run_with_the_same_key_is_named_by_its_ledger(maker: Maker, fork: Fork) -> None:
    """The second run learns scenario and process of the first, at once."""
    key = names.new_key()
    told, tell = os.pipe()
    stay, leave = os.pipe()
    directory = names.make_runtime_directory()

    def first() -> None:
        os.close(leave)
        ledger = Ledger.create(directory, scenario="programs/first", run_dir="/runs/first")
        mine = Maker(ledger, directory, directory)
        mine.sysv_sem(1, key)
        os.write(tell, b"x")
        os.read(stay, 1)
        mine.remove_all()

    child = fork(first)
    assert os.read(told, 1) == b"x"
    with pytest.raises(ObjectExists, match=f"programs/first, process {child.pid}, /runs/first"):
        maker.sysv_sem(1, key)
    for fd in (leave, stay, told, tell):
        os.close(fd)
    child.ended()
    (directory / "ledger").unlink()
    directory.rmdir()


def test_an_absolute_path_of_a_table_must_be_wanted(maker: Maker, tmp_path: Path) -> None:
    """A file outside the directory of the runs is taken with `anywhere` only."""
    path = str(tmp_path / "elsewhere" / "exchange.dat")
    with pytest.raises(KernelObjectError, match="not inside"):
        mmap_file.make(mmap_file.Options(path=path), 96, maker)
    made = mmap_file.make(mmap_file.Options(path=path, anywhere=True), 96, maker)
    assert made["path"] == path
    with pytest.raises(KernelObjectError, match="not inside"):
        mmap_file.make(mmap_file.Options(path="../x", anywhere=True), 96, maker)


def test_a_fifo_without_frames_gives_what_is_there(
    maker: Maker, tmp_path: Path, wait: object
) -> None:
    """Ten bytes of the lecture's child are one message, though the channel has room for more."""
    from common.kernel.waits import Wait

    made = fifo.make(fifo.Options(path=str(tmp_path / "f"), framing="none"), 128, {}, maker)
    reader = fifo.attach(made, "receive", Wait(5.0), "the FIFO")
    with open(made["paths"][0], "wb", buffering=0) as child:
        child.write(b"123456789\0")
    assert reader.receive() == b"123456789\0"
    writer = fifo.attach(made, "send", Wait(5.0), "the FIFO")
    writer.send(b"short")
    assert reader.receive() == b"short"
    writer.close()
    reader.close()


def test_a_greeting_comes_before_anything_else(maker: Maker, tmp_path: Path) -> None:
    """The receiver says its line to whoever connects, and a sender of ours reads it first."""
    from common.kernel.waits import Wait

    options = unix_stream.Options(framing="none", greeting="Hello.", path=str(tmp_path / "s"))
    made = unix_stream.make(options, 64, {}, maker)
    receiver = unix_stream.attach(made, "receive", Wait(5.0), "the line")
    theirs = socket.socket(socket.AF_UNIX)
    theirs.connect(made["path"])
    theirs.sendall(b"and you\n")
    assert receiver.receive() == b"and you\n"
    poll = select.poll()
    poll.register(theirs, select.POLLIN)
    assert poll.poll(5000)
    assert theirs.recv(64) == b"Hello.\n"
    theirs.close()
    receiver.close()
