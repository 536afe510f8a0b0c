"""An open exchange in a launcher of its own, for those who disturb it."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.launching import ROOT, SECONDS, command, launch

OPEN = str(ROOT / "configs/exchange/open_for_business.yaml")
QUICK = ("--set", "delays.acquire.sleep_us=2000", "--set", "delays.acquire.jitter_us=2000")


class Exchange:
    """An open exchange in a launcher of its own, known to be trading."""

    def __init__(self, out: Path, *words: str) -> None:
        self.out = out
        self.launcher = subprocess.Popen(
            command("run", OPEN, *QUICK, "--out", str(out), "--json", "--log", "events", *words),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.launcher.stderr is not None
        for line in self.launcher.stderr:
            if "gate_open" in line:
                break

    def listed(self) -> dict[str, Any]:
        """Return what ``ps`` says of this run."""
        runs = launch("ps", "--json").document["runs"]
        (run,) = [run for run in runs if run["pid"] == self.launcher.pid]
        found: dict[str, Any] = run
        return found

    def finished(self) -> tuple[int, dict[str, Any]]:
        """Wait for the end; returns status and document."""
        out, err = self.launcher.communicate(timeout=SECONDS)
        assert "Traceback" not in err, err
        return self.launcher.returncode, json.loads(out) if out else {}


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    """Yield an open exchange; whatever a test leaves of it is killed and cleaned."""
    opened = Exchange(tmp_path)
    yield opened
    if opened.launcher.poll() is None:
        opened.launcher.kill()
    opened.launcher.communicate()
    launch("clean")


def ended(pid: int, seconds: float) -> bool:
    """Return whether a process of somebody else ends within ``seconds``."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    done = bool(poll.poll(seconds * 1000))
    os.close(descriptor)
    return done


def join(path: str, role: str = "teller", system: str = "exchange") -> socket.socket:
    """Connect as a guest and ask to take part."""
    guest = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    guest.settimeout(SECONDS)
    guest.connect(path)
    guest.send(json.dumps({"type": "join", "role": role, "system": system}).encode())
    return guest


MURDER = """
import os, runpy, signal, sys
from common.kernel import ledger
stop, sys.argv = int(sys.argv[1]), sys.argv[2:]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
real, count = ledger.Ledger._write, 0
def write(self, **event):
    global count
    count += 1
    if count == stop:
        os.kill(os.getpid(), signal.SIGKILL)
    real(self, **event)
    if count == -stop:
        os.kill(os.getpid(), signal.SIGKILL)
ledger.Ledger._write = write
runpy.run_path(sys.argv[0], run_name="__main__")
"""
