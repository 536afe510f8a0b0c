"""What happens to a run from outside is told, and costs nothing else."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.launching import ROOT, SECONDS, still_there
from tests.opened import Exchange


@pytest.mark.parametrize(
    ("at", "status"), [(0, 130), (1, 130), (2, 3)], ids=["gate", "table", "lock"]
)
def test_an_object_removed_from_outside_leaves_the_run_undecided(
    exchange: Exchange, at: int, status: int
) -> None:
    """Removing the gate, the table or its lock (ipcrm) during a run: object_vanished, no leak.

    Whoever has a segment attached keeps it, and nobody needs the gate any more: these two only
    the launcher misses, at the end. The lock's waiters are told at once.
    """
    found = [e for e in exchange.listed()["objects"] if e["kind"].startswith("sysv")]
    flag = {"sysv_shm": "-m", "sysv_sem": "-s"}[found[at]["kind"]]
    subprocess.run(["ipcrm", flag, str(found[at]["id"])], check=True)
    if status == 130:
        exchange.launcher.send_signal(signal.SIGINT)
    code, document = exchange.finished()
    assert code == status
    assert [finding["kind"] for finding in document["findings"]] == ["object_vanished"]
    assert document["verdict"] == "undecided"
    assert document["leaks"] == []


def test_a_full_disk_costs_the_log_and_not_the_kernel_objects(tmp_path: Path) -> None:
    """When the log cannot be written any more the run still ends, and removes what it made."""
    program = (
        "import os, runpy, sys\n"
        "from common import log\n"
        "def full(self, line): raise OSError(28, 'No space left on device')\n"
        "real = os.write\n"
        "def write(fd, data):\n"
        "    if b'gate_open' in data or b'process_ended' in data: full(0, 0)\n"
        "    return real(fd, data)\n"
        "log.os.write = write\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    done = subprocess.run(
        [
            sys.executable, "-c", program, str(ROOT / "run.py"), "run",
            str(ROOT / "configs/exchange/script.yaml"), "--out", str(tmp_path), "--json",
        ],
        capture_output=True, text=True, cwd=ROOT, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert still_there(json.loads(done.stdout)["objects"]) == []
