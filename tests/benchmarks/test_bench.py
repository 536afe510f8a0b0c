"""The verb ``bench``: what it refuses, and that it leaves nothing when it is interrupted."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from benchmarks import bench
from common import kinds
from common.kernel import existing
from common.kernel.ledger import read_ledger
from tests.launching import command, launch


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["chanels"], "did you mean 'channels'?"),
        (["channels", "--kinds", "pipe,fiffo"], "did you mean 'fifo'?"),
        (["channels", "--plot", "figures.png"], "name it FILE.svg"),
        (["channels", "--plot", "/no/such/place/figures.svg"], "cannot be written"),
    ],
)
def test_what_is_not_there_is_a_usage_error(words: list[str], told: str) -> None:
    """Before anything is measured: status 2, and the mend."""
    done = launch("bench", *words)
    assert done.status == 2
    assert told in done.err
    assert done.out == ""


def in_session(leader: int) -> list[int]:
    """Return the living processes of a session."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            found.append(int(path.name))
    return found


def objects(runtime: Path) -> list[tuple[str, str | int]]:
    """Return kind and name of what the ledger of the one run there says was made."""
    (directory,) = runtime.iterdir()
    entries = read_ledger(directory).entries
    return [(entry.kind, entry.name) for entry in entries if entry.state == "made"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_bench_leaves_nothing(
    number: signal.Signals, runtime_directory: Path
) -> None:
    """Ctrl-C or a SIGTERM in the middle: status 130 or 143, no object, no file, no process."""
    process = subprocess.Popen(
        command("bench", "channels", "--quick", "--kinds", "sysv_queue,ring,popen,unix_stream"),
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        # The first table stands, so the next contest is under way.
        while not process.stdout.readline().startswith("throughput, 64 B"):
            assert process.poll() is None
        made = objects(runtime_directory)
        assert {"sysv_queue", "sysv_sem", "sysv_shm", "socket"} <= {kind for kind, _name in made}
        process.send_signal(number)
        process.stdout.read()
        assert process.wait() == 128 + number
        assert [each for each in made if existing.find(*each) is not None] == []
        assert list(runtime_directory.iterdir()) == []
        assert in_session(process.pid) == []
    finally:
        process.kill()
        process.communicate()


def test_bench_is_a_verb() -> None:
    """The launcher knows it, and lists it with its sentence."""
    assert kinds.about(bench) in launch("--help").out
