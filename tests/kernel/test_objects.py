"""What a run makes is whole, its own, and gone again; what is not its own is left alone."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import posix_ipc
import pytest
import sysv_ipc

from common import names
from common.errors import KernelObjectError, MachineError, NotPermitted, ObjectExists
from common.kernel import existing
from common.kernel.ledger import FILE, Ledger, LedgerState, read_ledger
from common.kernel.leftovers import commands, remove_dead
from common.kernel.objects import Maker
from tests.conftest import Fork, Signpost

Make = Callable[[Maker], Any]
SYSV: dict[str, Make] = {
    "sysv_shm": lambda maker: maker.sysv_shm(4096),
    "sysv_sem": lambda maker: maker.sysv_sem(1),
    "sysv_queue": lambda maker: maker.sysv_queue(),
}
ALL: dict[str, Make] = SYSV | {
    "posix_sem": lambda maker: maker.posix_sem(1),
    "fifo": lambda maker: maker.fifo("orders"),
}
FIXED: dict[str, Callable[[Maker, int], int]] = {
    "sysv_shm": lambda maker, key: maker.sysv_shm(4096, key),
    "sysv_sem": lambda maker, key: maker.sysv_sem(1, key),
    "sysv_queue": lambda maker, key: maker.sysv_queue(key),
}


def second_maker(directory: Path) -> Maker:
    directory.mkdir(0o700)
    return Maker(Ledger.create(directory, scenario="x", run_dir="/"), directory, directory)


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


# Removing what a dead run left


def killed_run(fork: Fork, directory: Path, work: Callable[[Maker], object]) -> LedgerState:
    """Let a child make objects and be killed; returns its ledger."""

    def launch() -> None:
        work(second_maker(directory))
        os.kill(os.getpid(), signal.SIGKILL)

    assert fork(launch).ended() == -signal.SIGKILL
    return read_ledger(directory)


def make_everything(maker: Maker) -> None:
    for make in ALL.values():
        make(maker)
    maker.file(maker.base / "exchange.dat", 96)
    socket.socket(socket.AF_UNIX).bind(maker.socket_path("report"))


def exists(state: LedgerState) -> list[str]:
    return [entry.kind for entry in state.entries if existing.find(entry.kind, entry.name)]


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


def test_the_command_of_a_path_with_blanks_is_one_word(maker: Maker) -> None:
    """What is printed can be pasted into a shell."""
    path = maker.base / "my table; true.dat"
    maker.file(path, 96)
    [entry] = read_ledger(maker.directory).entries
    shown = subprocess.run(
        commands(entry), shell=True, capture_output=True, text=True, check=True
    ).stdout
    assert str(path) in shown


def test_a_link_in_place_of_the_runtime_directory_is_not_followed(
    kernel_clean: None, fork: Fork, tmp_path: Path
) -> None:
    """A directory that was replaced by a link leads to somebody else's files."""
    state = killed_run(fork, tmp_path / "run", lambda dead: dead.fifo("orders"))
    shutil.move(tmp_path / "run", tmp_path / "moved")
    (tmp_path / "run").symlink_to(tmp_path / "moved")
    remove_dead(state)
    assert Path(str(state.entries[0].name)).is_fifo()


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
