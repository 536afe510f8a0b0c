"""The file that outlives its runs: held by one run at a time, and always a plain file of ours."""

from __future__ import annotations

import faulthandler
import fcntl
import os
import resource
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from common import names
from common.errors import (
    KernelObjectError,
    MachineError,
    NotPermitted,
    ObjectExists,
    ObjectVanished,
)
from common.kernel import mapped_file
from common.kernel.ledger import Ledger
from common.kernel.locks import Address
from common.kernel.objects import Maker
from common.kernel.tables import mmap_file
from tests.conftest import Fork, Signpost

SIZE = 96


@pytest.fixture
def other(maker: Maker, tmp_path: Path) -> Maker:
    """Another run over the same base, not willing to wait."""
    directory = tmp_path / "other"
    directory.mkdir(0o700)
    ledger = Ledger.create(directory, scenario="x", run_dir="/")
    return Maker(ledger, directory, maker.base, patience=0.05)


def make(maker: Maker, path: str = "exchange.dat") -> dict[str, object]:
    return mmap_file.make(mmap_file.Options(path), SIZE, maker)


def test_a_new_file_is_allocated_to_a_page(maker: Maker) -> None:
    """Allocated, not only sized: a hole is a SIGBUS at a store on a full disk."""
    address = make(maker)
    status = (maker.base / "exchange.dat").stat()
    assert status.st_size == address["size"] == 4096
    assert status.st_blocks * 512 >= 4096
    assert status.st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
@pytest.mark.parametrize(
    ("mode", "within", "said"),
    [
        (0o755, 0o444, "/exchange.dat has mode 0444, owner uid 0"),
        (0o755, None, " has mode 0755, owner uid 0"),
        (0o700, 0o666, " has mode 0700, owner uid 0"),
    ],
    ids=["file", "directory", "way"],
)
def test_a_closed_table_is_told_with_mode_and_owner(
    mode: int, within: int | None, said: str, fork: Fork
) -> None:
    """A file that may not be written, a directory in which none may be made, or entered at all."""
    directory = Path(tempfile.mkdtemp(prefix="t"))
    table = directory / "exchange.dat"
    if within is not None:
        table.touch()
        table.chmod(within)
    directory.chmod(mode)

    def take() -> None:
        os.setresuid(65534, 65534, 65534)
        with pytest.raises(NotPermitted) as caught:
            mapped_file.open_exclusively(table, 0.0, lambda: False)
        wanted = f"{table} is closed to this user (uid 65534): {directory}{said}"
        assert wanted in str(caught.value)

    try:
        assert fork(take).ended() == 0
    finally:
        shutil.rmtree(directory)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_a_table_that_is_closed_meanwhile_is_told_with_mode_and_owner(
    maker: Maker, fork: Fork
) -> None:
    """A process that comes late says what is in its way, as the launcher would."""
    address = make(maker)

    def open_it() -> None:
        os.setresuid(65534, 65534, 65534)
        with pytest.raises(
            NotPermitted, match=r"Permission denied: /.* has mode 0\d{3}, owner uid"
        ):
            mapped_file.reopen(address, "the table")

    assert fork(open_it).ended() == 0


def test_the_next_run_finds_the_contents(maker: Maker, other: Maker) -> None:
    """Fresh once; then the stock is carried over."""
    address = make(maker)
    assert address["fresh"] is True
    memory = mmap_file.attach(address)
    memory.cells[2] = 4321.0
    memory.close()
    maker.remove_all()
    again = make(other)
    assert again["fresh"] is False
    memory = mmap_file.attach(again)
    assert memory.cells[2] == 4321.0
    memory.close()
    other.remove_all()


def test_two_runs_do_not_share_a_file_and_the_second_learns_who_holds_it(
    maker: Maker, other: Maker
) -> None:
    """It waits as long as it has patience, then names the holder; later it gets it."""
    make(maker)
    with pytest.raises(ObjectExists, match=f"process {os.getpid()}"):
        make(other)
    maker.remove_all()
    make(other)
    other.remove_all()


def test_a_run_waits_until_the_file_is_let_go(
    maker: Maker,
    other: Maker,
    fork: Fork,
    signpost: Callable[[], Signpost],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The holder lets go while the second waits: both runs pass."""
    told, may = signpost(), signpost()

    def hold() -> None:
        make(other)
        told.show("h")
        may.see("g")

    child = fork(hold)
    told.see("h")
    maker.patience = 60.0
    flock, looked = fcntl.flock, []

    def look(fd: int, operation: int) -> None:
        looked.append(fd)
        if len(looked) == 3:
            may.show("g")
        flock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", look)
    make(maker)
    assert len(looked) > 2
    assert child.ended() == 0


def test_a_killed_holder_lets_go(maker: Maker, other: Maker, fork: Fork) -> None:
    """The kernel frees a flock with its last descriptor."""

    def hold() -> None:
        make(other)
        os.kill(os.getpid(), signal.SIGKILL)

    fork(hold).ended()
    maker.patience = 0.0
    make(maker)


def test_an_interruption_ends_the_wait_for_another_run(maker: Maker, other: Maker) -> None:
    """The launcher's signals only count: the wait itself looks, long before its patience ends."""
    make(maker)
    looks = iter([False, False, True])
    other.patience = 1e9
    other.interrupted = lambda: next(looks)
    with pytest.raises(MachineError, match=f"interrupted.*exchange.dat.*process {os.getpid()}"):
        make(other)
    assert list(looks) == []


def test_a_file_that_was_made_and_never_filled_is_fresh(maker: Maker) -> None:
    """Its run was killed between making and filling it."""
    (maker.base / "exchange.dat").write_bytes(bytes(4096))
    (maker.base / "empty.dat").touch()
    assert make(maker)["fresh"] is True
    assert make(maker, "empty.dat")["fresh"] is True


def test_a_c_programs_file_of_96_bytes_is_grown_and_kept(maker: Maker) -> None:
    """The lecture's file has exactly the table."""
    (maker.base / "exchange.dat").write_bytes(b"\1" * SIZE)
    address = make(maker)
    assert address["fresh"] is False
    assert (maker.base / "exchange.dat").read_bytes() == b"\1" * SIZE + bytes(4096 - SIZE)


def test_a_file_of_odd_length_can_be_mapped(maker: Maker) -> None:
    """Its last bytes are no whole double."""
    (maker.base / "exchange.dat").write_bytes(b"\1" * 5003)
    memory = mmap_file.attach(make(maker))
    assert len(memory.bytes) == 5003
    assert len(memory.cells) == 625
    memory.close()


@pytest.mark.parametrize("path", ["/etc/passwd", "../exchange.dat", "a/../../b", "", "."])
def test_a_path_out_of_the_directory_is_refused(maker: Maker, path: str) -> None:
    """Traders must never write their doubles over somebody's file."""
    with pytest.raises(KernelObjectError):
        make(maker, path)
    assert maker.objects() == []


def test_what_is_not_a_plain_file_of_ours_is_refused_and_not_touched(maker: Maker) -> None:
    """A link, a second name, a directory, a FIFO, too short a file."""
    base = maker.base
    (base / "victim").write_text("precious" * 20)
    (base / "target").write_bytes(b"\1" * SIZE)
    (base / "link").symlink_to(base / "target")
    os.link(base / "victim", base / "hard")
    (base / "directory").mkdir()
    os.mkfifo(base / "fifo")
    (base / "short").write_bytes(b"\1" * (SIZE - 1))
    for path in ("link", "hard", "directory", "fifo", "short"):
        with pytest.raises(KernelObjectError, match=path):
            make(maker, path)
    assert (base / "victim").read_text() == "precious" * 20
    assert (base / "target").stat().st_size == SIZE
    assert (base / "short").stat().st_size == SIZE - 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a file of another user")
def test_a_file_of_another_user_is_refused(maker: Maker) -> None:
    """The superuser could write it, and must not."""
    path = maker.base / "exchange.dat"
    path.write_bytes(b"\1" * SIZE)
    os.chown(path, 65534, 65534)
    with pytest.raises(NotPermitted, match="65534"):
        make(maker)


def test_a_full_disk_is_an_error_at_the_making(other: Maker, fork: Fork) -> None:
    """A size limit refuses as a full disk does: no SIGBUS later."""

    def launch() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2048, resource.RLIM_INFINITY))
        with pytest.raises(MachineError, match="bytes are free"):
            make(other)

    assert fork(launch).ended() == 0


def cut(path: Path) -> None:
    os.truncate(path, 100)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def replace(path: Path) -> None:
    new = path.with_name("new")
    new.write_bytes(bytes(4096))
    new.rename(path)


def remove(path: Path) -> None:
    path.unlink()


def link(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.symlink_to("moved")


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def listen(path: Path) -> None:
    path.unlink()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(path))


def file_as_parent(path: Path) -> None:
    path.unlink()
    path.parent.rmdir()
    path.parent.touch()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (cut, "cut from 4096 to 100"),
        (empty, "cut from 4096 to 0"),
        (replace, "replaced"),
        (remove, "gone"),
        (link, "gone"),
        (directory, "gone"),
        (listen, "gone"),
        (file_as_parent, "gone"),
    ],
)
def test_a_file_that_is_cut_or_replaced_during_the_run_has_vanished(
    maker: Maker, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None], said: str
) -> None:
    """Whatever stands in its place: the run learns that its table is gone, and can be judged."""
    address = make(maker, "kept/exchange.dat")
    monkeypatch.chdir(maker.base)
    change(maker.base / "kept/exchange.dat")
    with pytest.raises(ObjectVanished, match=said):
        mmap_file.attach(address)


def test_a_file_that_is_cut_between_look_and_mapping_has_vanished(
    maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mmap refuses more than the file has; what it raises is no error that anybody expects."""
    address = make(maker)
    look = mapped_file.problem

    def look_and_lose(status: os.stat_result, told: Address) -> str:
        problem = look(status, told)
        empty(maker.base / "exchange.dat")
        return problem

    monkeypatch.setattr(mapped_file, "problem", look_and_lose)
    with pytest.raises(ObjectVanished, match=r"exchange\.dat"):
        mmap_file.attach(address)


def test_a_process_that_touches_a_cut_file_is_killed_by_sigbus(maker: Maker, fork: Fork) -> None:
    """Why nobody ever truncates it, and why the launcher names the cause."""
    address = make(maker)

    def touch() -> None:
        signal.signal(signal.SIGBUS, signal.SIG_DFL)
        memory = mmap_file.attach(address)
        os.truncate(maker.base / "exchange.dat", 0)
        memory.cells[0] = 1.0

    enabled = faulthandler.is_enabled()
    faulthandler.disable()
    try:
        assert fork(touch).ended() == -signal.SIGBUS
    finally:
        if enabled:
            faulthandler.enable()


def test_the_file_replaced_while_a_run_waits_for_it_is_opened_anew(
    maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock of a file that has lost its name protects nothing."""
    path = maker.base / "exchange.dat"
    path.write_bytes(b"\1" * 4096)
    locked: list[int] = []

    flock = fcntl.flock

    def replace_first(fd: int, operation: int) -> None:
        flock(fd, operation)
        if not locked:
            (maker.base / names.new_token()).write_bytes(b"\2" * 4096)
            next(p for p in maker.base.iterdir() if p.read_bytes()[:1] == b"\2").rename(path)
        locked.append(fd)

    monkeypatch.setattr(fcntl, "flock", replace_first)
    memory = mmap_file.attach(make(maker))
    assert len(locked) == 2
    assert memory.bytes[0] == 2
    memory.close()
