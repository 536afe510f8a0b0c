"""Objects that others make: looked at, awaited and opened, never made, and refused if unsafe."""

from __future__ import annotations

import os
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
from common.kernel.channels import one_slot
from common.kernel.foreign import Awaited
from common.kernel.objects import Maker
from tests.conftest import Fork

OTHER_USER = 65534


only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


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


def test_to_look_for_an_object_never_makes_it(tmp_path: Path) -> None:
    """What is not there yet stays so: nothing is opened with IPC_CREAT or O_CREAT."""
    key, path = names.new_key(), str(tmp_path / "none")
    for kind in ("sysv_shm", "sysv_sem", "sysv_queue", "fifo", "socket", "file"):
        name = key if kind in existing.SYSV else path
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
