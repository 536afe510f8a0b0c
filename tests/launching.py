"""Runs the launcher as a user does: a process of its own, its output read, its objects checked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.kernel import existing

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 100

ONE_CORE = (
    "import os, runpy, sys; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
    "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
)


@dataclass
class Finished:
    """What a launcher left: its exit status and what it printed."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on standard output."""
        assert self.out, self.err
        document: dict[str, Any] = json.loads(self.out)
        return document


def command(*words: str, one_core: bool = False) -> list[str]:
    """Return the command line of the launcher."""
    run = str(ROOT / "run.py")
    return [sys.executable, *(["-c", ONE_CORE, run] if one_core else [run]), *words]


def launch(*words: str, one_core: bool = False, **environment: str) -> Finished:
    """Run the launcher to its end."""
    done = subprocess.run(
        command(*words, one_core=one_core),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env={**os.environ, **environment},
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Finished(done.returncode, done.stdout, done.stderr)


def still_there(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return those of a run's objects that exist, asked of the kernel and not of the run."""
    tables = {"sysv_shm": "shm", "sysv_sem": "sem", "sysv_queue": "msg"}
    left = []
    for entry in objects:
        kind, name = entry["kind"], entry["name"]
        if kind in tables:
            there = any(f"{row['key']:#x}" == name for row in existing.listed(tables[kind]))
        elif kind.startswith("posix_"):
            there = existing.find(kind, name) is not None
        else:
            there = Path(name).exists() and not entry.get("kept")
        if there:
            left.append(entry)
    return left
