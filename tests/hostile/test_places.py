"""Places where others can write: what they planted is neither followed, opened nor removed.

Tried by a real other user (uid 65534) in a directory like /tmp, against a plain user (uid 64321):
root ignores all permissions.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sysv_ipc

from common import names, runs
from common.errors import KernelObjectError, LabError, MachineError, UsageError
from common.kernel import existing
from common.kernel.ledger import FILE, Ledger, read_ledger, remove_directory
from common.kernel.leftovers import clean, remove_dead
from common.kernel.objects import Maker
from tests.conftest import Fork, Signpost

US, THEM = 64321, 65534
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs to become two other users")
As = Callable[[int, Callable[[], object]], None]


@pytest.fixture
def as_user(fork: Fork) -> As:
    """Return a function that does something as a plain user, in a process of its own."""

    def do(uid: int, work: Callable[[], object]) -> None:
        def become() -> None:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            work()

        assert fork(become).ended() == 0

    return do


@pytest.fixture
def shared() -> Iterator[Path]:
    """Yield a directory that anybody may write to, as /tmp; it must be empty again at the end."""
    directory = Path("/tmp") / f"shared-{names.new_token()}"
    directory.mkdir()
    directory.chmod(0o1777)
    yield directory
    for path in sorted(directory.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    directory.rmdir()


def mine(shared: Path, name: str) -> Path:
    """Make a directory of the plain user's with a file that is precious."""
    directory = shared / name
    directory.mkdir()
    (directory / "victim").write_text("precious")
    for path in (directory, directory / "victim"):
        os.chown(path, US, US)
    return directory


def plant_a_link(shared: Path) -> None:
    """The whole place for runs leads to the victim's home."""
    (shared / "runs").symlink_to(shared / "home")


def plant_a_directory(shared: Path) -> None:
    """The place for runs is there, and its owner may rename whatever lies in it."""
    (shared / "runs").mkdir()
    (shared / "runs").chmod(0o777)


def plant_a_deeper_link(shared: Path) -> None:
    """The place is the victim's own, but open, and the scenario's directory in it is a link."""
    (shared / "open" / "exchange").symlink_to(shared / "home")


@pytest.mark.parametrize(
    ("plant", "out"),
    [
        (plant_a_link, "runs"),
        (plant_a_directory, "runs"),
        (plant_a_directory, "runs/../runs"),
        (plant_a_deeper_link, "open"),
    ],
)
def test_a_place_for_runs_that_somebody_planted_is_refused(
    shared: Path, as_user: As, plant: Callable[[Path], None], out: str
) -> None:
    """By its name and its owner's; nothing is made in it, nor behind it."""
    home = mine(shared, "home")
    mine(shared, "open").chmod(0o777)
    as_user(THEM, lambda: plant(shared))

    def keep_a_run() -> None:
        with pytest.raises(UsageError, match=f"belongs to uid {THEM}"):
            runs.make(shared / out, "exchange/script", 1)

    as_user(US, keep_a_run)
    assert [path.name for path in home.iterdir()] == ["victim"]
    assert (home / "victim").read_text() == "precious"


def test_a_place_of_ones_own_among_others_is_taken(shared: Path, as_user: As) -> None:
    """Also where it is reached by a link of one's own."""

    def keep_a_run() -> None:
        (shared / "there").mkdir()
        (shared / "runs").symlink_to(shared / "there")
        run_dir = runs.make(shared / "runs", "exchange/script", 1)
        assert names.is_private_directory(run_dir)

    as_user(US, keep_a_run)


def test_a_squatted_runtime_directory_is_not_taken(
    shared: Path, as_user: As, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory of another's, and a link to one of ours, in the place of XDG_RUNTIME_DIR."""
    private = mine(shared, "home")
    private.chmod(0o700)

    def squat() -> None:
        (shared / "run").mkdir(0o700)
        (shared / "link").symlink_to(private)

    as_user(THEM, squat)

    def look() -> None:
        for name in ("run", "link"):
            os.environ["XDG_RUNTIME_DIR"] = str(shared / name)
            assert names.longest_runtime_directory().parent == Path("/tmp")

    as_user(US, look)


def test_a_directory_of_anothers_that_is_named_like_a_run_of_ours_is_not_ours(
    shared: Path, as_user: As, fork: Fork
) -> None:
    """With a ledger of a dead run in it, as good as any: neither listed nor cleaned."""
    key = names.new_key()

    def forge() -> None:
        directory = shared / f"lab-{US}-1-aaaaaaaa"
        directory.mkdir(0o700)
        ledger = Ledger.create(directory, scenario="forged", run_dir="/")
        ledger.intend("sysv_sem", key)
        text = (directory / FILE).read_text().replace(f'"uid": {THEM}', f'"uid": {US}')
        (directory / FILE).write_text(text)
        directory.chmod(0o777)

    as_user(THEM, forge)

    def look() -> None:
        semaphore = sysv_ipc.Semaphore(key, sysv_ipc.IPC_CREX, mode=0o600, initial_value=1)
        try:
            directory = shared / f"lab-{US}-1-aaaaaaaa"
            assert not names.is_private_directory(directory)
            with pytest.raises(KernelObjectError, match="not a runtime directory of this user"):
                remove_directory(directory)
        finally:
            semaphore.remove()

    as_user(US, look)


@pytest.mark.parametrize("plant", ["fifo", "socket", "link", "file"])
def test_a_path_that_is_squatted_is_refused_and_not_opened(
    shared: Path, as_user: As, plant: str
) -> None:
    """FIFO, socket, link or file of another user at the path that a scenario asks for."""
    home = mine(shared, "home")
    path = shared / "orders"

    def squat() -> None:
        if plant == "fifo":
            os.mkfifo(path)
            path.chmod(0o666)
        elif plant == "socket":
            with socket.socket(socket.AF_UNIX) as bound:
                bound.bind(str(path))
        elif plant == "link":
            path.symlink_to(home / "victim")
        else:
            path.write_text("")
            path.chmod(0o666)

    as_user(THEM, squat)

    def make() -> None:
        directory = names.make_runtime_directory()
        ledger = Ledger.create(directory, scenario="x", run_dir="/")
        maker = Maker(ledger, directory, directory)
        try:
            for ask in (
                lambda: maker.fifo("channel", str(path)),
                lambda: maker.socket("channel", socket.SOCK_STREAM, str(path)),
            ):
                with pytest.raises(LabError, match=str(path)):
                    ask()
            maker.remove_all()
        finally:
            ledger.close()
            remove_directory(directory)

    os.environ.pop("XDG_RUNTIME_DIR", None)
    as_user(US, make)
    assert os.path.lexists(path)
    assert (home / "victim").read_text() == "precious"


def test_nothing_can_be_squatted_in_the_directory_of_a_run(as_user: As, maker: Maker) -> None:
    """Nobody else gets into it: mode 0700, and what is made in it is made exclusively."""
    path = maker.directory / f"orders-{len(maker._ledger.entries)}"

    def squat() -> None:
        with pytest.raises(PermissionError):
            os.mkfifo(path)

    as_user(THEM, squat)
    os.mkfifo(path)
    try:
        with pytest.raises(MachineError, match="exists"):
            maker.fifo("orders")
    finally:
        path.unlink()


@pytest.mark.parametrize("kind", ["sysv_shm", "sysv_sem", "sysv_queue"])
def test_another_users_object_with_the_key_and_id_of_a_ledger_is_not_touched(
    kernel_clean: None, fork: Fork, tmp_path: Path, as_user: As, kind: str
) -> None:
    """Not even by root, which could remove it."""
    key = names.new_key()
    make: dict[str, Callable[[], object]] = {
        "sysv_shm": lambda: sysv_ipc.SharedMemory(key, sysv_ipc.IPC_CREX, mode=0o666, size=4096),
        "sysv_sem": lambda: sysv_ipc.Semaphore(key, sysv_ipc.IPC_CREX, mode=0o666),
        "sysv_queue": lambda: sysv_ipc.MessageQueue(key, sysv_ipc.IPC_CREX, mode=0o666),
    }
    as_user(THEM, lambda: make[kind]())
    found = existing.find(kind, key)
    assert found is not None
    try:
        (tmp_path / "run").mkdir(0o700)

        def launch() -> None:
            ledger = Ledger.create(tmp_path / "run", scenario="x", run_dir="/")
            ledger.made(ledger.intend(kind, key), id=found.id)

        assert fork(launch).ended() == 0
        assert remove_dead(read_ledger(tmp_path / "run")) == []
        assert existing.find(kind, key) == found
    finally:
        existing.remove(kind, key, found)


def test_one_users_clean_sees_nothing_of_anothers_dead_run(
    kernel_clean: None, as_user: As, fork: Fork, signpost: Callable[[], Signpost]
) -> None:
    """Its directory is closed to him, and its name is not his."""
    directory = names.make_runtime_directory()
    ledger = Ledger.create(directory, scenario="x", run_dir="/")
    ledger.close()

    def look() -> None:
        assert directory not in names.runtime_directories()
        assert clean(directory) is None

    try:
        as_user(THEM, look)
        assert (directory / FILE).exists()
    finally:
        remove_directory(directory)
