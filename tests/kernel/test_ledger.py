"""The ledger: it names every object before it exists, and survives whatever kills its run."""

from __future__ import annotations

import json
import os
import resource
import signal
from pathlib import Path
from typing import Any

import pytest

from common import names
from common.errors import MachineError, StoredRunError
from common.kernel.ledger import FILE, Ledger, read_ledger
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
    with pytest.raises(FileExistsError):
        Ledger.create(tmp_path, scenario="x", run_dir="/")
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "trap").mkdir()
    (tmp_path / "trap" / FILE).symlink_to(victim)
    with pytest.raises(FileExistsError):
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
    ledger.intend("fifo", "/x/1")
    whole = (tmp_path / FILE).read_bytes()
    ledger.intend("fifo", "/x/2")
    last = (tmp_path / FILE).read_bytes()[len(whole) :]
    for length in range(len(last)):
        (tmp_path / FILE).write_bytes(whole + last[:length])
        assert [entry.name for entry in read_ledger(tmp_path).entries] == ["/x/1"]


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
        json.dumps(GOOD).encode() + b'\n{"event": "gone", "entry": 0}\n',
        json.dumps(GOOD).encode() + b'\n{"event": "intend", "entry": 0}\n',
        json.dumps(GOOD).encode() + b'\n{"event": "intend", "entry": 5, "kind": "x", "name": "y", '
        b'"at": 1}\n',
        json.dumps(GOOD).encode() + b'\n{"event": "surprise", "entry": 0}\n',
        json.dumps(GOOD).encode() + b"\n" + b"[" * 100_000 + b"\n",
    ],
)
def test_what_is_not_a_ledger_is_refused_with_its_place(tmp_path: Path, lines: bytes) -> None:
    """One error of ours, whatever the bytes are."""
    (tmp_path / FILE).write_bytes(lines)
    with pytest.raises(StoredRunError, match=str(tmp_path)):
        read_ledger(tmp_path)


def test_a_missing_ledger_and_a_planted_fifo_are_refused_at_once(tmp_path: Path) -> None:
    """Opening a FIFO would block for ever."""
    with pytest.raises(StoredRunError):
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
        ledger.intend("fifo", "/x/1")
        size = (tmp_path / FILE).stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, resource.RLIM_INFINITY))
        with pytest.raises(MachineError, match="ledger"):
            ledger.intend("fifo", "/x/2")
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        with pytest.raises(MachineError, match="ledger"):
            ledger.intend("fifo", "/x/3")

    assert fork(launch).ended() == 0
    assert [entry.name for entry in read_ledger(tmp_path).entries] == ["/x/1"]
