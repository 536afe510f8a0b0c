"""Keys and paths that a scenario asks for: made where nothing is, opened where others made them."""

from __future__ import annotations

import os
import select
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import sysv_ipc

from common import names
from common.errors import KernelObjectError, NotPermitted, ObjectExists
from common.kernel import existing, foreign, in_use
from common.kernel.channels import fifo, one_slot, sysv_queue, unix_stream
from common.kernel.foreign import Awaited
from common.kernel.ledger import Ledger, read_ledger
from common.kernel.leftovers import remove_dead
from common.kernel.locks import sysv_sem
from common.kernel.objects import Maker
from common.kernel.tables import mmap_file, sysv_shm
from tests.conftest import Fork

OTHER_USER = 65534
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")

ASKED: dict[str, Callable[[Maker, int, str], object]] = {
    "sysv_shm": lambda maker, key, _: sysv_shm.make(sysv_shm.Options(key=key), 96, maker),
    "sysv_sem": lambda maker, key, _: sysv_sem.make(sysv_sem.Options(key=key), maker),
    "sysv_queue": lambda maker, key, _: sysv_queue.make(sysv_queue.Options(key=key), 64, {}, maker),
    "fifo": lambda maker, _, path: fifo.make(fifo.Options(path=path), 64, {}, maker),
    "socket": lambda maker, _, path: unix_stream.make(
        unix_stream.Options(path=path), 64, {}, maker
    ),
}


@pytest.fixture
def segment() -> Iterator[Callable[..., sysv_ipc.SharedMemory]]:
    """Return a function that makes a segment as another program does; all are removed."""
    made: list[sysv_ipc.SharedMemory] = []

    def make(key: int, size: int = 96, mode: int = 0o600) -> sysv_ipc.SharedMemory:
        made.append(
            sysv_ipc.SharedMemory(
                key, sysv_ipc.IPC_CREX, size=size, mode=mode, init_character=b"\0"
            )
        )
        return made[-1]

    yield make
    for each in made:
        with suppress(sysv_ipc.Error):
            each.detach()
        with suppress(sysv_ipc.Error):
            each.remove()


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


def test_a_segment_in_use_is_refused_with_who_has_it_attached(
    maker: Maker, fork: Fork, segment: Callable[..., sysv_ipc.SharedMemory]
) -> None:
    """The process that has it attached is named, and the segment stays."""
    key = names.new_key()
    made = segment(key)
    made.detach()
    told, tell = os.pipe()
    stay, leave = os.pipe()

    def attach() -> None:
        os.close(leave)
        memory = sysv_ipc.SharedMemory(key)
        os.write(tell, b"x")
        os.read(stay, 1)
        memory.detach()

    child = fork(attach)
    assert os.read(told, 1) == b"x"
    with pytest.raises(ObjectExists, match=f"in use by process {child.pid}") as caught:
        maker.sysv_shm(96, key)
    assert f"ipcrm -m {made.id}" in caught.value.hint
    for fd in (leave, stay, told, tell):
        os.close(fd)
    child.ended()
    with pytest.raises(ObjectExists, match="exists already") as caught:
        maker.sysv_shm(96, key)
    assert "left over" in caught.value.hint


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


def test_to_look_for_an_object_never_makes_it(tmp_path: Path) -> None:
    """What is not there yet stays so: nothing is opened with IPC_CREAT or O_CREAT."""
    key, path = names.new_key(), str(tmp_path / "none")
    for kind in ("sysv_shm", "sysv_sem", "sysv_queue", "fifo", "socket", "file"):
        name = name_of(kind, key, path)
        assert foreign.look(Awaited(kind, name)) is None
        assert existing.find(kind, name) is None


def test_a_segment_that_is_too_small_is_refused(
    segment: Callable[..., sysv_ipc.SharedMemory],
) -> None:
    """What was made for something else is not taken for a table: the sizes are said."""
    key = names.new_key()
    segment(key, size=27)
    with pytest.raises(KernelObjectError, match="27 bytes, 96 are needed"):
        foreign.look(Awaited("sysv_shm", key, 96))
    assert foreign.look(Awaited("sysv_shm", key, 27)) is not None


def test_a_segment_that_we_may_not_write_is_refused(
    segment: Callable[..., sysv_ipc.SharedMemory],
) -> None:
    """Its mode is read, not tried: root may write anything."""
    key = names.new_key()
    segment(key, mode=0o400)
    with pytest.raises(NotPermitted, match="mode 400"):
        foreign.look(Awaited("sysv_shm", key, 96))


def test_a_segment_that_everybody_may_write_is_told(
    maker: Maker, segment: Callable[..., sysv_ipc.SharedMemory]
) -> None:
    """The lecture's mode 0666 is taken, and the reader of the run is told what it means."""
    key = names.new_key()
    segment(key, mode=0o666)
    assert maker.foreign.come(Awaited("sysv_shm", key, 96))
    (remark,) = maker.foreign.remarks
    assert "mode 666" in remark


@only_root
def test_what_another_user_made_is_refused(maker: Maker, tmp_path: Path) -> None:
    """Planted at the path that a run asks for, or waits for, it is neither used nor removed."""
    path = tmp_path / "planted"
    os.mkfifo(path)
    os.chown(path, OTHER_USER, OTHER_USER)
    with pytest.raises(NotPermitted, match="somebody else's"):
        maker.fifo("x", str(path))
    with pytest.raises(NotPermitted, match=f"uid {OTHER_USER}"):
        foreign.look(Awaited("fifo", str(path)))
    maker.remove_all()
    assert stat.S_ISFIFO(path.lstat().st_mode)


def test_a_socket_file_of_the_dead_is_not_taken_for_a_listener(tmp_path: Path) -> None:
    """Only who listens there has made it: a path that is left over is waited at, not used."""
    path = str(tmp_path / "s")
    bound = socket.socket(socket.AF_UNIX)
    bound.bind(path)
    awaited = Awaited("socket", path)
    assert foreign.look(awaited) is None, "bound, and nobody listens yet"
    bound.listen()
    assert foreign.look(awaited) is not None
    bound.close()
    assert foreign.look(awaited) is None
    assert in_use.users("socket", path, existing.Found(0, 0, 0.0)) == []


def test_a_file_that_is_still_being_filled_is_waited_for(tmp_path: Path) -> None:
    """It must have its whole length, and no second name under which it was filled."""
    path, own = tmp_path / "exchange.dat", tmp_path / "own"
    awaited = Awaited("file", str(path), 96)
    own.write_bytes(bytes(96))
    path.hardlink_to(own)
    assert foreign.look(awaited) is None
    own.unlink()
    assert foreign.look(awaited) is not None
    path.write_bytes(bytes(95))
    assert foreign.look(awaited) is None


def test_an_object_that_is_there_before_its_maker_starts_is_refused(
    maker: Maker, segment: Callable[..., sysv_ipc.SharedMemory]
) -> None:
    """With IPC_CREAT alone a program would take it for its own, with what is in it."""
    key = names.new_key()
    segment(key)
    with pytest.raises(ObjectExists):
        maker.foreign.expect(Awaited("sysv_shm", key, 96), "office")


def test_an_object_that_a_stranger_made_meanwhile_is_refused(
    maker: Maker, fork: Fork, segment: Callable[..., sysv_ipc.SharedMemory]
) -> None:
    """The kernel says which process made a segment: it must be one of the group's."""
    key = names.new_key()
    awaited = Awaited("sysv_shm", key, 96)
    maker.foreign.expect(awaited, "office")
    segment(key)
    with pytest.raises(ObjectExists, match=f"made by process {os.getpid()}"):
        maker.foreign.come(awaited, "office", {1})
    maker.remove_all()
    assert existing.find("sysv_shm", key) is not None, "it is not ours to remove"


def test_what_a_group_made_and_left_is_removed_and_told(maker: Maker, fork: Fork) -> None:
    """Its maker is known, so the launcher may remove it when the run is over."""
    key = names.new_key()
    awaited = Awaited("sysv_shm", key, 96)
    maker.foreign.expect(awaited, "office")
    child = fork(lambda: sysv_ipc.SharedMemory(key, sysv_ipc.IPC_CREX, size=96).detach())
    child.ended()
    assert maker.foreign.come(awaited, "office", {child.pid})
    assert maker.missing() == []
    maker.remove_all()
    assert existing.find("sysv_shm", key) is None
    assert any("office left its sysv_shm" in remark for remark in maker.foreign.remarks)


def test_what_a_group_removed_itself_has_not_vanished(maker: Maker, fork: Fork) -> None:
    """A program that cleans up after itself did as it should."""
    key = names.new_key()
    awaited = Awaited("sysv_shm", key, 96)
    maker.foreign.expect(awaited, "office")
    child = fork(lambda: sysv_ipc.SharedMemory(key, sysv_ipc.IPC_CREX, size=96).detach())
    child.ended()
    assert maker.foreign.come(awaited, "office", {child.pid})
    theirs = sysv_ipc.SharedMemory(key)
    theirs.detach()
    theirs.remove()
    assert maker.missing() == []


def test_an_absolute_path_of_a_table_must_be_wanted(maker: Maker, tmp_path: Path) -> None:
    """A file outside the directory of the runs is taken with `anywhere` only."""
    path = str(tmp_path / "elsewhere" / "exchange.dat")
    with pytest.raises(KernelObjectError, match="not inside"):
        mmap_file.make(mmap_file.Options(path=path), 96, maker)
    made = mmap_file.make(mmap_file.Options(path=path, anywhere=True), 96, maker)
    assert made["path"] == path
    with pytest.raises(KernelObjectError, match="not inside"):
        mmap_file.make(mmap_file.Options(path="../x", anywhere=True), 96, maker)


def test_the_lectures_slot_can_be_read_with_the_lectures_27_bytes(
    maker: Maker, segment: Callable[..., sysv_ipc.SharedMemory], wait: object
) -> None:
    """A slot that another program made has no room behind its letters, and needs none."""
    from common.kernel.waits import Wait

    key = names.new_key()
    made = segment(key, size=27)
    memory = memoryview(made)
    memory[:26] = b"abcdefghijklmnopqrstuvwxyz"
    address = one_slot.named(one_slot.Options(key=key), 26)
    slot = one_slot.attach(address, "receive", Wait(5.0), "the slot")
    assert slot.receive() == b"abcdefghijklmnopqrstuvwxyz"
    assert memory[0] == ord("*")
    slot.send(b"zyxwvutsrqponmlkjihgfedcba")
    assert bytes(memory[:27]) == b"zyxwvutsrqponmlkjihgfedcba\0"
    slot.close()
    memory.release()


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


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        (0o700, ""),
        (0o755, ""),
        (0o720, "every member of its group may change it"),
        (0o722, "every user of this machine may change it"),
    ],
)
def test_a_socket_is_open_to_those_who_may_write(
    mode: int, said: str, maker: Maker, tmp_path: Path
) -> None:
    """To connect is to write (unix(7)); to read its file is nothing."""
    path = tmp_path / "line"
    with socket.socket(socket.AF_UNIX) as line:
        line.bind(str(path))
        line.listen()
        path.chmod(mode)
        assert maker.foreign.come(Awaited("socket", str(path)))
    assert [remark for remark in maker.foreign.remarks if said not in remark] == []
    assert len(maker.foreign.remarks) == bool(said)


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        (0o604, "every user of this machine may read it"),
        (0o640, "every member of its group may read it"),
        (0o646, "every user of this machine may change it"),
    ],
)
def test_who_may_only_read_a_file_is_not_said_to_change_it(
    mode: int, said: str, maker: Maker, tmp_path: Path
) -> None:
    """Reading is another sentence than changing."""
    path = tmp_path / "exchange.dat"
    path.write_bytes(bytes(96))
    path.chmod(mode)
    assert maker.foreign.come(Awaited("file", str(path), 96))
    (remark,) = maker.foreign.remarks
    assert said in remark
