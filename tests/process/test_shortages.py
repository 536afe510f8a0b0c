"""What runs out in the middle of a run is named with its limit, and everything is cleaned up."""

from __future__ import annotations

import contextlib
import importlib
import os
import resource
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest

import run
from common import names
from common.kernel import existing
from common.process import jobs
from tests.conftest import Fork
from tests.launching import SECONDS, still_there
from tests.opened import Exchange

TRADERS = """
system: exchange
table: {{store: sysv_shm, lock: sysv_sem}}
processes: [{{role: trader, count: {count}, operations: 10}}]
"""


def leave_room_for(exchange: Exchange, more: int) -> int:
    """Allow a launcher no more descriptors than it has, and ``more``; returns how many."""
    pid = exchange.launcher.pid
    allowed = max(int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()) + 1 + more
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (allowed, allowed))
    return allowed


def connect(exchange: Exchange) -> None:
    """Connect to the report socket as one who wants to take part, and go again."""
    (path,) = (each["name"] for each in exchange.listed()["objects"] if each["kind"] == "socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as guest:
        guest.connect(path)


def kill_one(exchange: Exchange) -> None:
    """Kill a trader, which is to be started anew."""
    trader = next(each for each in exchange.listed()["processes"] if "trader" in each["name"])
    os.kill(trader["pid"], signal.SIGKILL)


@pytest.mark.parametrize(
    ("below", "disturb"),
    [(0, connect), (8, connect), (8, kill_one)],
    ids=["who connects", "who connects, far below", "who is started anew"],
)
def test_no_descriptors_left_in_a_run_end_it_with_the_limit_named(
    tmp_path: Path, runtime_directory: Path, below: int, disturb: Callable[[Exchange], None]
) -> None:
    """The launcher does not spin at a connection it cannot accept; it keeps some for its end."""
    exchange = Exchange(tmp_path, "--set", "processes.0.restart=3")
    try:
        objects = exchange.listed()["objects"]
        allowed = leave_room_for(exchange, -below)
        disturb(exchange)
        out, err = exchange.launcher.communicate(timeout=SECONDS)
    finally:
        if exchange.launcher.poll() is None:
            exchange.launcher.kill()
            exchange.launcher.communicate()
    assert "Traceback" not in err, err
    assert (exchange.launcher.returncode, out) == (4, "")
    said = err.splitlines()[-1]
    assert f"ran out of open files: {allowed} are allowed" in said
    assert "RLIMIT_NOFILE" in said
    assert still_there(objects) == []
    assert list(runtime_directory.iterdir()) == []


def start(
    fork: Fork, directory: Path, traders: int, become: Callable[[], object] = lambda: None,
    **limits: int,
) -> str:  # fmt: skip
    """Run so many traders within these limits, as ``become`` has it; returns what was said.

    What is counted before a run is left out: another program may be faster than that.
    """
    scenario, told = directory / "scenario.yaml", directory / "told"
    scenario.write_text(TRADERS.format(count=traders))

    def launch() -> None:
        with told.open("w") as stderr, contextlib.redirect_stderr(stderr):
            os.closerange(stderr.fileno() + 1, 1 << 16)
            for name, most in limits.items():
                resource.setrlimit(getattr(resource, name), (most, most))
            become()
            with mock.patch.object(jobs, "shortages", return_value=[]):
                status = run.main(["run", str(scenario), "--out", str(directory / "runs")])
        os._exit(status)

    assert fork(launch).ended() == 4
    said = told.read_text()
    assert "Traceback" not in said
    return said


def test_no_descriptors_left_while_they_start_are_told_too(
    fork: Fork, tmp_path: Path, kernel_clean: None, runtime_directory: Path
) -> None:
    """Whoever still wants to report is not let in: that would take what the end needs."""
    said = start(fork, tmp_path, 40, RLIMIT_NOFILE=70)
    assert "ran out of open files: 70 are allowed" in said
    assert list(runtime_directory.iterdir()) == []


@pytest.fixture
def place() -> Iterator[tuple[int, Path]]:
    """Yield a user whom nobody else is, and a directory of his; it goes with what is in it."""
    user = (1 << 20) + os.getpid()
    directory = Path(tempfile.mkdtemp(prefix="t"))
    for path in (directory, directory / "runtime"):
        path.mkdir(mode=0o700, exist_ok=True)
        os.chown(path, user, user)
    yield user, directory
    shutil.rmtree(directory)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become a user without other processes")
def test_no_processes_left_while_they_start_stops_those_that_have(
    fork: Fork, place: tuple[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """fork(2) says EAGAIN: one sentence with the limit, and nobody and nothing is left."""
    user, directory = place
    # What he imports, he cannot read.
    for module in ("common.verbs.run", "structlog", "exchange.roles.trader"):
        importlib.import_module(module)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(directory / "runtime"))

    def become() -> None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)

    # Himself, the guard of the run, and one of three traders.
    said = start(fork, directory, 3, become, RLIMIT_NPROC=3)
    assert "cannot start trader-1: Resource temporarily unavailable" in said
    assert "ulimit -u is 3" in said
    assert not any(of_user(path, user) for path in Path("/proc").glob("[0-9]*"))
    rows = [row for table in ("shm", "sem", "msg") for row in existing.listed(table)]
    assert [row for row in rows if row["cuid"] == user] == []
    assert list((directory / "runtime").iterdir()) == []


def of_user(process: Path, user: int) -> bool:
    """Say whether a process that has not ended is a user's."""
    with contextlib.suppress(OSError):
        return process.stat().st_uid == user and names.start_time(int(process.name)) is not None
    return False
