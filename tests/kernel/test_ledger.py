"""The ledger: it names every object before it exists, and survives whatever kills its run."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from common import names
from common.errors import KernelObjectError, MachineError, StoredRunError
from common.kernel.ledger import FILE, FILES, Ledger, read_ledger, remove_directory
from common.kernel.libc import mounts
from tests.conftest import Fork


@pytest.fixture
def ledger(tmp_path: Path) -> Any:
    ledger = Ledger.create(tmp_path, scenario="till", run_dir="/runs/1")
    yield ledger
    ledger.close()


def test_the_header_says_whose_it_is(ledger: Ledger, tmp_path: Path) -> None:
    """Enough to tell a live run from a dead one, and one run from another."""
    header = read_ledger(tmp_path).header
    assert (header.pid, header.start) == (os.getpid(), names.start_time(os.getpid()))
    assert (header.boot, header.uid) == (names.boot_id(), os.geteuid())
    assert (header.scenario, header.run_dir, header.version) == ("till", "/runs/1", 1)


def test_objects_go_from_intended_over_made_to_gone(ledger: Ledger, tmp_path: Path) -> None:
    """Each state is on disk as soon as the call returns."""
    number = ledger.intend("sysv_sem", 0x4C000001, value=1)
    [entry] = read_ledger(tmp_path).entries
    assert (entry.kind, entry.name, entry.state, entry.id) == (
        "sysv_sem", 0x4C000001, "intended", None,
    )  # fmt: skip
    assert entry.facts == {"value": 1}
    ledger.made(number, id=77)
    [entry] = read_ledger(tmp_path).entries
    assert (entry.state, entry.id) == ("made", 77)
    ledger.gone(number)
    [entry] = read_ledger(tmp_path).entries
    assert (entry.state, entry.id) == ("gone", 77)


def test_processes_are_listed(ledger: Ledger, tmp_path: Path) -> None:
    """By pid, start and name."""
    ledger.process(12, 345, "trader-1")
    [process] = read_ledger(tmp_path).processes
    assert (process.pid, process.start, process.name) == (12, 345, "trader-1")


def test_the_file_is_closed_to_others_and_never_reused(ledger: Ledger, tmp_path: Path) -> None:
    """A second ledger in the same directory is refused; a planted link is not followed."""
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    with pytest.raises(MachineError, match="File exists"):
        Ledger.create(tmp_path, scenario="x", run_dir="/")
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "trap").mkdir()
    (tmp_path / "trap" / FILE).symlink_to(victim)
    with pytest.raises(MachineError, match="File exists"):
        Ledger.create(tmp_path / "trap", scenario="x", run_dir="/")
    with pytest.raises(StoredRunError):
        read_ledger(tmp_path / "trap")
    assert victim.read_text() == "precious"


def test_a_run_is_alive_while_its_launcher_is(fork: Fork, tmp_path: Path) -> None:
    """Killed and not yet reaped, it is dead."""
    read, write = os.pipe()

    def launch() -> None:
        Ledger.create(tmp_path, scenario="x", run_dir="/")
        os.write(write, b"r")
        signal.pause()

    child = fork(launch)
    assert os.read(read, 1) == b"r"
    state = read_ledger(tmp_path)
    assert state.alive
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not state.alive
    child.ended()
    assert not state.alive
    os.close(read)
    os.close(write)


@pytest.mark.parametrize(
    ("change", "alive"),
    [
        ({}, True),
        ({"start": 1}, False),
        ({"boot": "another"}, False),
        ({"namespaces": "pid:[1] ipc:[2]", "start": 1}, True),
    ],
)
def test_a_pid_used_again_another_boot_and_another_namespace_are_told_apart(
    ledger: Ledger, tmp_path: Path, change: dict[str, Any], alive: bool
) -> None:
    """What cannot be seen from here counts as alive: it is not ours to remove."""
    header = json.loads((tmp_path / FILE).read_text()) | change
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / FILE).write_text(json.dumps(header) + "\n")
    assert read_ledger(tmp_path / "copy").alive is alive


def test_a_cut_last_line_is_left_out(ledger: Ledger, tmp_path: Path) -> None:
    """Cut anywhere in its last line, the rest of the ledger stands."""
    ledger.intend("sysv_sem", 1)
    whole = (tmp_path / FILE).read_bytes()
    ledger.intend("sysv_sem", 2)
    last = (tmp_path / FILE).read_bytes()[len(whole) :]
    for length in range(len(last)):
        (tmp_path / FILE).write_bytes(whole + last[:length])
        state = read_ledger(tmp_path)
        assert [entry.name for entry in state.entries] == [1]
        assert not state.damaged


GOOD = {
    "event": "run", "version": 1, "pid": 1, "start": 1, "boot": "b", "namespaces": "",
    "uid": 0, "scenario": "s", "run_dir": "/", "at": "now",
}  # fmt: skip


@pytest.mark.parametrize(
    "lines",
    [
        b"",
        b"half a hea",
        b"not json\n",
        b"[]\n",
        b'"text"\n',
        b"\xff\xfe\n",
        b'{"event": "run"}\n',
        b'{"event": "intend", "entry": 0}\n',
        json.dumps(GOOD | {"version": 99}).encode() + b"\n",
        json.dumps(GOOD | {"pid": "1"}).encode() + b"\n",
        json.dumps(GOOD | {"more": 1}).encode() + b"\n",
        json.dumps(GOOD | {"pid": 10**400}).encode() + b"\n",
        json.dumps(GOOD | {"run_dir": None}).encode() + b"\n",
    ],
)
def test_what_is_not_a_ledger_is_refused_with_its_place(tmp_path: Path, lines: bytes) -> None:
    """One error of ours, whatever the bytes are."""
    (tmp_path / FILE).write_bytes(lines)
    with pytest.raises(StoredRunError, match=str(tmp_path)):
        read_ledger(tmp_path)


def test_a_missing_ledger_and_a_planted_fifo_are_refused_at_once(tmp_path: Path) -> None:
    """Opening a FIFO would block for ever."""
    with pytest.raises(StoredRunError, match="never begun"):
        read_ledger(tmp_path)
    os.mkfifo(tmp_path / FILE)
    with pytest.raises(StoredRunError):
        read_ledger(tmp_path)


def test_when_the_disk_is_full_nothing_is_made_and_the_ledger_stays_readable(
    fork: Fork, tmp_path: Path
) -> None:
    """A size limit cuts a line as a full disk does; nothing is ever written behind a cut line."""

    def launch() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        ledger = Ledger.create(tmp_path, scenario="x", run_dir="/")
        ledger.intend("sysv_sem", 1)
        size = (tmp_path / FILE).stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, resource.RLIM_INFINITY))
        with pytest.raises(MachineError, match="ledger"):
            ledger.intend("sysv_sem", 2)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        with pytest.raises(MachineError, match="ledger"):
            ledger.intend("sysv_sem", 3)

    assert fork(launch).ended() == 0
    assert [entry.name for entry in read_ledger(tmp_path).entries] == [1]


def intention(**changes: Any) -> dict[str, Any]:
    """Return the ledger's second intention, of a semaphore unless it is changed."""
    return {"event": "intend", "entry": 1, "kind": "sysv_sem", "name": 7, "at": 1.5} | changes


DAMAGE: list[Any] = [
    "not json",
    [],
    "[" * 100_000,
    {"event": "surprise", "entry": 0},
    {"event": "gone", "entry": 1},
    {"event": "gone", "entry": -1},
    {"event": "made", "entry": 0},
    {"event": "made", "entry": 0, "id": "5"},
    {"event": "process", "pid": "1/../2", "start": 1, "name": "x"},
    {"event": "process", "pid": 10**400, "start": 1, "name": "x"},
    {"event": "intend", "entry": 1},
    intention(entry=5),
    intention(at="soon"),
    intention(at=10**400),
    intention(at=float("nan")),
    intention(kind="surprise"),
    intention(kind=[]),
    *(intention(name=name) for name in ("7", 0, -1, 1 << 31, True, 7.0, None)),
    *(
        intention(kind="posix_sem", name=name)
        for name in (7, "/lab-xyz-1", "/lab-aaaa-1/../x", "/other", "lab-aaaa-1", "/lab-aaaa-1\n")
    ),
    *(
        intention(kind=kind, name=name)
        for kind in ("fifo", "socket")
        for name in (7, "/x/1", "{here}/../x", "{here}/a/x", "{here}/..", "{here}/.", "{here}/",
                     "x", "{here}/\0", "{here}/\ud800")
    ),
    intention(kind="file", name=7),
]  # fmt: skip


@pytest.mark.parametrize("bad", DAMAGE)
def test_a_bad_line_ends_what_is_known_and_is_named(
    ledger: Ledger, tmp_path: Path, bad: Any
) -> None:
    """What stands before it is kept, what comes after it is unknown, whatever the line is."""
    ledger.made(ledger.intend("sysv_sem", 5), id=50)
    line = bad if isinstance(bad, str) else json.dumps(bad)
    with (tmp_path / FILE).open("a") as file:
        file.write(line.replace("{here}", str(tmp_path)) + "\n")
    ledger.gone(0)
    state = read_ledger(tmp_path)
    assert (state.damaged, state.bad_line) == (True, 4)
    assert [(entry.name, entry.id, entry.state) for entry in state.entries] == [(5, 50, "made")]
    assert state.alive


def test_a_ledger_that_cannot_be_begun_names_the_place_and_leaves_nothing(
    fork: Fork, tmp_path: Path
) -> None:
    """No byte can be written: an error of ours with the mend; the directory can be removed."""
    directory = tmp_path / "run"
    directory.mkdir(0o700)

    def launch() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        descriptors = len(list(Path("/proc/self/fd").iterdir()))
        resource.setrlimit(resource.RLIMIT_FSIZE, (20, resource.RLIM_INFINITY))
        with pytest.raises(MachineError, match=str(directory)) as caught:
            Ledger.create(directory, scenario="x", run_dir="/")
        assert "XDG_RUNTIME_DIR" in caught.value.hint
        assert len(list(Path("/proc/self/fd").iterdir())) == descriptors

    assert fork(launch).ended() == 0
    with pytest.raises(MachineError, match="File exists"):
        Ledger.create(directory, scenario="x", run_dir="/")
    remove_directory(directory)
    assert not directory.exists()
    with pytest.raises(MachineError, match="No such file"):
        Ledger.create(directory, scenario="x", run_dir="/")


# Removing the directory


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to mount")
def test_what_is_mounted_in_it_is_not_emptied(ledger: Ledger, tmp_path: Path, fork: Fork) -> None:
    """A mount on the directory for files leads to somebody else's: it stays, and is named."""
    files = tmp_path / FILES
    files.mkdir(0o700)

    def clean() -> None:
        mounts.leave_mounts()
        mounts.mount_tmpfs(files, 4096)
        (files / "precious").touch()
        with pytest.raises(KernelObjectError, match=f"no run of ours made {FILES}"):
            remove_directory(tmp_path)
        assert (files / "precious").exists()

    assert fork(clean).ended() == 0
    assert (tmp_path / FILE).exists()


def test_the_directory_goes_with_what_the_lab_put_there(ledger: Ledger, tmp_path: Path) -> None:
    """Ledger, job files, and the FIFOs and sockets of the ledger; a second time it is gone."""
    fifo, report = str(tmp_path / "orders"), str(tmp_path / "report")
    ledger.intend("fifo", fifo)
    ledger.intend("socket", report)
    os.mkfifo(fifo)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(report)
    (tmp_path / "teller-1.json").touch()
    remove_directory(tmp_path)
    assert not tmp_path.exists()
    remove_directory(tmp_path)


def put_fifo_of_nobody(directory: Path) -> None:
    os.mkfifo(directory / "stranger")


def put_link_named_like_a_job(directory: Path) -> None:
    (directory / "stranger.json").symlink_to("/etc/passwd")


@pytest.mark.parametrize(
    "put",
    [
        lambda directory: (directory / "stranger").write_text("precious"),
        lambda directory: (directory / "stranger").mkdir(),
        lambda directory: (directory / "stranger.json").mkdir(),
        put_fifo_of_nobody,
        put_link_named_like_a_job,
    ],
)
def test_a_directory_with_anything_else_in_it_stays_as_it_is(
    ledger: Ledger, tmp_path: Path, put: Any
) -> None:
    """Nothing at all is removed from it, and what is strange is named."""
    (tmp_path / "teller-1.json").touch()
    put(tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(KernelObjectError, match=f"^{tmp_path}: .*stranger"):
        remove_directory(tmp_path)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(("text", "number"), [("garbage\n", 1), ("", 2)])
def test_a_directory_with_a_damaged_ledger_stays(
    ledger: Ledger, tmp_path: Path, text: str, number: int
) -> None:
    """Its ledger is all that can lead to the objects it names."""
    whole = (tmp_path / FILE).read_text()
    (tmp_path / FILE).write_text(text + whole + "garbage\n")
    with pytest.raises(KernelObjectError, match=f"^{tmp_path}: .*line {number}"):
        remove_directory(tmp_path)
    assert (tmp_path / FILE).exists()


def test_a_directory_that_others_can_enter_stays(ledger: Ledger, tmp_path: Path) -> None:
    """It is not a runtime directory of ours."""
    tmp_path.chmod(0o755)
    with pytest.raises(KernelObjectError, match="not a runtime directory"):
        remove_directory(tmp_path)
    tmp_path.chmod(0o700)
    assert (tmp_path / FILE).exists()
