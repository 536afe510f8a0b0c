"""What a run makes is whole, its own, and closed to others; what is not its own is left alone."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import posix_ipc
import pytest
import sysv_ipc

from common import names
from common.errors import KernelObjectError, MachineError, NotPermitted, ObjectExists
from common.kernel import existing
from common.kernel.ledger import FILE, Ledger, read_ledger
from common.kernel.leftovers import commands
from common.kernel.objects import Maker
from tests.conftest import Fork, Signpost
from tests.kernel.dead_runs import ALL, FIXED, SYSV, second_maker


@pytest.mark.parametrize("kind", ALL)
def test_an_object_is_made_listed_and_removed(maker: Maker, kind: str) -> None:
    """It exists by the kernel's word with the id that is listed, and then no longer."""
    name = ALL[kind](maker)
    found = existing.find(kind, name)
    assert found is not None
    assert found.uid == os.geteuid()
    assert maker.objects() == [{"kind": kind, "id": found.id, "name": existing.shown(name)}]
    assert maker.leaks() == maker.objects()
    maker.remove_all()
    assert existing.find(kind, name) is None
    assert maker.objects() == maker.leaks() == []
    maker.remove_all()


@pytest.mark.parametrize("kind", ALL)
def test_an_object_is_closed_to_others(maker: Maker, kind: str) -> None:
    """Mode 0600, whatever the umask of the launcher is."""
    before = os.umask(0)
    try:
        name = ALL[kind](maker)
    finally:
        os.umask(before)
    if kind in SYSV:
        table = existing.SYSV[kind][0]
        [row] = [row for row in existing.listed(table) if row["key"] == name]
        # /proc/sysvipc prints the mode in octal.
        assert row["perms"] % 1000 == 600
    else:
        assert existing.path(kind, name).lstat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("kind", ALL)
def test_the_ledger_names_an_object_before_it_exists(
    maker: Maker, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the moment of its making, the line that intends it is on the disk already."""
    intended: list[str | int] = []
    intend = Ledger.intend

    def look(self: Ledger, kind: str, name: str | int, **facts: Any) -> int:
        number = intend(self, kind, name, **facts)
        assert existing.find(kind, name) is None
        intended.extend(entry.name for entry in read_ledger(maker.directory).entries)
        return number

    monkeypatch.setattr(Ledger, "intend", look)
    assert intended == [ALL[kind](maker)]


@pytest.mark.parametrize("kind", ALL)
def test_the_command_that_shows_an_object_finds_it(maker: Maker, kind: str) -> None:
    """It runs as it is printed, and its output has the object's id or name."""
    name = ALL[kind](maker)
    [entry] = read_ledger(maker.directory).entries
    shown = subprocess.run(
        commands(entry), shell=True, capture_output=True, text=True, check=True
    ).stdout
    assert (f"={entry.id}" if kind in SYSV else str(existing.path(kind, name))) in shown
    maker.remove_all()
    after = subprocess.run(commands(entry), shell=True, capture_output=True, text=True, check=False)
    assert f"={entry.id}" not in after.stdout


@pytest.mark.parametrize("kind", SYSV)
def test_a_fixed_key_in_use_is_refused_with_its_owner_and_left_alone(
    maker: Maker, tmp_path: Path, kind: str
) -> None:
    """The second of two runs that ask for the lecture's key learns who has it."""
    key = names.new_key()
    other = second_maker(tmp_path / "other")
    assert FIXED[kind](other, key) == key
    before = existing.find(kind, key)
    with pytest.raises(ObjectExists, match=f"{key:#x}.*uid {os.geteuid()}") as caught:
        FIXED[kind](maker, key)
    if kind == "sysv_shm":
        assert f"process {os.getpid()} (alive)" in caught.value.message
    assert "ipcrm" in caught.value.hint
    maker.remove_all()
    assert existing.find(kind, key) == before
    other.remove_all()
    assert existing.find(kind, key) is None


@pytest.mark.parametrize("key", [0, -1, 0xFFFFFFFF, 0x80000000, 1 << 32, (1 << 32) + 5])
@pytest.mark.parametrize("kind", SYSV)
def test_keys_that_the_kernel_would_bend_are_refused(maker: Maker, kind: str, key: int) -> None:
    """0 is private, -1 a failed ftok, more than 32 bits are truncated in silence."""
    with pytest.raises(KernelObjectError, match="is no key"):
        FIXED[kind](maker, key)
    assert maker.objects() == []


@pytest.mark.parametrize("kind", SYSV)
def test_a_random_key_that_is_taken_is_drawn_again(
    maker: Maker, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other's object is neither used nor claimed in the ledger."""
    other = second_maker(tmp_path / "other")
    taken, free = SYSV[kind](other), names.new_key()
    draws = iter([taken, taken, free])
    monkeypatch.setattr(names, "new_key", lambda: next(draws))
    assert SYSV[kind](maker) == free
    assert [entry.name for entry in read_ledger(maker.directory).entries] == [free]
    maker.remove_all()
    assert existing.find(kind, taken) is not None
    other.remove_all()


@pytest.mark.parametrize("kind", SYSV)
def test_one_who_takes_the_key_between_look_and_making_keeps_it(
    maker: Maker, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The making itself is exclusive; the entry of the ledger is closed again."""
    other = second_maker(tmp_path / "other")
    taken, free = SYSV[kind](other), names.new_key()
    draws = iter([taken, free])
    monkeypatch.setattr(names, "new_key", lambda: next(draws))
    monkeypatch.setattr("common.kernel.objects._taken", lambda kind, key: None)
    assert SYSV[kind](maker) == free
    states = [(entry.name, entry.state) for entry in read_ledger(maker.directory).entries]
    assert states == [(taken, "gone"), (free, "made")]
    assert [entry["name"] for entry in maker.objects()] == [f"{free:#010x}"]
    maker.remove_all()
    assert maker.leaks() == []
    assert existing.find(kind, taken) is not None
    other.remove_all()


def test_a_new_segment_is_zeroed_and_left_unattached(maker: Maker) -> None:
    """sysv_ipc fills new segments with blanks unless told otherwise."""
    memory = sysv_ipc.SharedMemory(maker.sysv_shm(8192))
    assert memory.read() == bytes(8192)
    assert memory.number_attached == 1
    memory.detach()


def test_a_segment_still_attached_after_its_removal_is_a_leak_until_it_is_let_go(
    maker: Maker,
) -> None:
    """The kernel takes its key away but keeps the memory: looked up by id, it is still there."""
    memory = sysv_ipc.SharedMemory(maker.sysv_shm(4096))
    maker.remove_all()
    assert [leak["kind"] for leak in maker.leaks()] == ["sysv_shm"]
    memory.detach()
    assert maker.leaks() == []


def test_what_somebody_else_removed_is_no_leak_and_no_error(maker: Maker) -> None:
    """Objects are looked up, not remembered."""
    for make in ALL.values():
        make(maker)
    for entry in read_ledger(maker.directory).entries:
        found = existing.find(entry.kind, entry.name)
        assert found is not None
        existing.remove(entry.kind, entry.name, found)
    assert maker.leaks() == []
    maker.remove_all()


@pytest.mark.parametrize("kind", SYSV)
def test_a_later_object_with_the_same_key_is_not_removed(
    maker: Maker, tmp_path: Path, kind: str
) -> None:
    """Ours was removed, and somebody took the key: the id tells them apart."""
    key = names.new_key()
    FIXED[kind](maker, key)
    found = existing.find(kind, key)
    assert found is not None
    existing.remove(kind, key, found)
    other = second_maker(tmp_path / "other")
    FIXED[kind](other, key)
    maker.remove_all()
    assert maker.leaks() == []
    assert existing.find(kind, key) is not None
    other.remove_all()


def test_an_unlinked_posix_semaphore_made_anew_by_another_is_not_removed(maker: Maker) -> None:
    """The inode tells them apart."""
    name = maker.posix_sem(1)
    posix_ipc.unlink_semaphore(name)
    keep_inode_busy = maker.posix_sem(1)
    other = posix_ipc.Semaphore(name, posix_ipc.O_CREX, initial_value=1)
    maker.remove_all()
    assert existing.find("posix_sem", keep_inode_busy) is None
    assert existing.find("posix_sem", name) is not None
    other.unlink()
    other.close()


def test_objects_go_in_the_reverse_order_of_their_making(maker: Maker) -> None:
    """What was built on top of something goes before it."""
    for make in ALL.values():
        make(maker)
    before = len((maker.directory / FILE).read_text().splitlines())
    maker.remove_all()
    lines = (maker.directory / FILE).read_text().splitlines()[before:]
    assert [f'"gone", "entry": {number}}}' in line for number, line in zip(
        range(len(ALL) - 1, -1, -1), lines, strict=True
    )] == [True] * len(ALL)  # fmt: skip


def test_a_ledger_that_cannot_be_written_keeps_nothing_alive(maker: Maker) -> None:
    """On a full disk the objects are removed all the same."""
    for make in ALL.values():
        make(maker)
    entries = read_ledger(maker.directory).entries
    maker._ledger.close()
    maker.remove_all()
    assert [entry for entry in entries if existing.find(entry.kind, entry.name)] == []


def test_a_socket_path_is_listed_once_it_is_bound_and_removed(maker: Maker) -> None:
    """The caller binds; the maker removes."""
    path = maker.socket_path("report")
    assert maker.objects() == []
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(path)
        assert [entry["kind"] for entry in maker.objects()] == ["socket"]
    assert maker.leaks() == maker.objects()
    maker.remove_all()
    assert not Path(path).exists()


@pytest.mark.parametrize("length", [107, 108])
def test_a_socket_path_has_at_most_107_bytes(maker: Maker, length: int) -> None:
    """Longer ones fail at bind, or are cut; 107 binds."""
    stem = "s" * (length - len(str(maker.directory)) - 1)
    if length > 107:
        with pytest.raises(MachineError, match="107"):
            maker.socket_path(stem)
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(maker.socket_path(stem))


def test_two_fifos_of_one_stem_are_two(maker: Maker) -> None:
    """Every client has its own."""
    assert maker.fifo("reply") != maker.fifo("reply")


def test_a_fifo_gone_with_its_directory_is_no_leak(maker: Maker) -> None:
    """Somebody cleared /tmp: there is nothing to remove and nothing to complain about."""
    path = maker.fifo("reply")
    Path(path).unlink()
    (maker.directory / FILE).unlink()
    maker.directory.rmdir()
    assert maker.leaks() == []
    maker.remove_all()
    maker.directory.mkdir(0o700)


def test_the_command_of_a_path_with_blanks_is_one_word(maker: Maker) -> None:
    """What is printed can be pasted into a shell."""
    path = maker.base / "my table; true.dat"
    maker.file(path, 96)
    [entry] = read_ledger(maker.directory).entries
    shown = subprocess.run(
        commands(entry), shell=True, capture_output=True, text=True, check=True
    ).stdout
    assert str(path) in shown


# When the machine says no


def in_namespace(script: str) -> str:
    """Run Python in an IPC namespace of its own, where limits can be set without harm."""
    command = ["unshare", "--ipc"] if os.geteuid() == 0 else ["unshare", "-r", "--ipc"]
    if shutil.which("unshare") is None:
        pytest.skip("no unshare(1) here")
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no IPC namespaces here")
    done = subprocess.run(
        [*command, sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("kind", "limit", "setting", "name"),
    [
        ("sysv_shm", "shmmni", "1", "kernel.shmmni"),
        ("sysv_sem", "sem", "32000 32000 500 1", "kernel.sem"),
        ("sysv_queue", "msgmni", "1", "kernel.msgmni"),
    ],
)
def test_no_space_left_on_device_names_the_limit_its_use_and_the_sysctl(
    kernel_clean: None, tmp_path: Path, kind: str, limit: str, setting: str, name: str
) -> None:
    """The kernel's words would send the user to look at the disk."""
    argument = {"sysv_shm": "4096", "sysv_sem": "1", "sysv_queue": ""}[kind]
    said = in_namespace(f"""
from pathlib import Path
from common.errors import MachineError
from common.kernel.ledger import Ledger
from common.kernel.objects import Maker
Path("/proc/sys/kernel/{limit}").write_text("{setting}")
directory = Path({str(tmp_path)!r})
maker = Maker(Ledger.create(directory, scenario="x", run_dir="/"), directory, directory)
maker.{kind}({argument})
try:
    maker.{kind}({argument})
except MachineError as error:
    print(error)
assert len(maker.objects()) == 1
maker.remove_all()
assert maker.leaks() == []
""")
    assert "1 of 1" in said
    assert name in said
    assert "sysctl" in said


def test_a_segment_that_is_larger_than_the_machine_is_refused(maker: Maker) -> None:
    """With the reason, and with no trace."""
    with pytest.raises(MachineError, match="memory"):
        maker.sysv_shm(1 << 60)
    assert maker.objects() == []


def test_a_name_that_is_too_long_is_not_a_full_disk(maker: Maker) -> None:
    """What the kernel says is told as such, and what would do."""
    with pytest.raises(MachineError) as caught:
        maker.fifo("channel", str(maker.base / (300 * "f")))
    assert os.strerror(errno.ENAMETOOLONG) in str(caught.value)
    assert "free" not in str(caught.value)
    assert "at most 255" in caught.value.hint


def test_a_missing_directory_is_not_a_full_disk(maker: Maker) -> None:
    """It is named, and the command that makes it."""
    with pytest.raises(MachineError, match="there is no directory") as caught:
        maker.fifo("channel", str(maker.base / "none/fifo"))
    assert caught.value.hint == f"mkdir -p {maker.base / 'none'}"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_a_closed_directory_is_not_a_full_disk(tmp_path: Path, fork: Fork) -> None:
    """It is named with its mode and owner, to whoever may not write in it."""
    closed = Path(tempfile.mkdtemp(prefix="t"))
    closed.chmod(0o755)

    def make() -> None:
        ledger = Ledger.create(tmp_path, scenario="test", run_dir="/")
        os.setresuid(65534, 65534, 65534)
        with pytest.raises(MachineError) as caught:
            Maker(ledger, closed, closed).fifo("channel", str(closed / "fifo"))
        assert f"{closed} has mode 0755, owner uid 0" in str(caught.value)

    try:
        assert fork(make).ended() == 0
        assert list(closed.iterdir()) == []
    finally:
        closed.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_what_belongs_to_another_user_cannot_be_removed_and_is_said_so(
    maker: Maker, fork: Fork, signpost: Callable[[], Signpost]
) -> None:
    """An error of ours, not a package's."""
    key, name = maker.sysv_shm(4096), maker.posix_sem(1)

    def intrude() -> None:
        os.setresuid(65534, 65534, 65534)
        for kind, called in (("sysv_shm", key), ("posix_sem", name)):
            found = existing.find(kind, called)
            assert found is not None
            with pytest.raises(NotPermitted):
                existing.remove(kind, called, found)

    assert fork(intrude).ended() == 0
    assert len(maker.objects()) == 2
