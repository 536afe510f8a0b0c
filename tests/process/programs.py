"""Small programs of another's, written for one test, and the scenarios that they take part in."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tests.launching import Finished, launch

# The lecture's second program: it attaches the table by its key and trades its lines, as it is told
# by ``meet``: what it does between reading a stock and writing it.
TELLER = """
import os, struct, sys, time, sysv_ipc
table = sysv_ipc.SharedMemory(int(os.environ["LAB_TABLE_KEY"], 16))
cells = memoryview(table).cast("d")
rows = os.environ["LAB_TABLE_ROWS"].split()
balance = 1000.0
for line in sys.stdin:
    verb, name, amount = line.split()
    at, amount = rows.index(name) * 3, float(amount)
    stock = cells[at + 2]
    {meet}
    if verb == "buy":
        balance -= amount * cells[at + 1]
        cells[at + 2] = stock + amount
    else:
        balance += amount * cells[at]
        cells[at + 2] = stock - amount
print(f"balance {{balance:.2f}}")
"""

# Nobody goes on before all have read: then all but one of the updates are lost, on every run.
MEET = """
    open(os.environ["LAB_RUN"] + "/met-" + os.environ["LAB_NAME"], "w").close()
    end = time.monotonic() + 30
    while sum(name.startswith("met-") for name in os.listdir(os.environ["LAB_RUN"])) < 2:
        assert time.monotonic() < end
        time.sleep(0.001)
"""


def program(directory: Path, name: str, text: str) -> Path:
    """Write a Python program to a file that can be executed; returns its path."""
    path = directory / name
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(0o700)
    return path


def teller(directory: Path, meet: str = "") -> Path:
    """Write a teller that trades its lines; ``meet`` stands between its read and its write."""
    return program(directory, "teller", TELLER.format(meet=meet.strip()))


def scenario(directory: Path, text: str) -> Path:
    """Write a scenario; returns its path."""
    path = directory / "scenario.yaml"
    path.write_text(text)
    return path


def run(directory: Path, text: str, *words: str) -> dict[str, Any]:
    """Run a scenario; returns the document of its run."""
    return launched(directory, text, *words).document


def launched(directory: Path, text: str, *words: str) -> Finished:
    """Run a scenario; returns how the launcher ended."""
    path = scenario(directory, text)
    return launch("run", str(path), "--out", str(directory / "runs"), "--json", *words)


def outcome(document: dict[str, Any], name: str) -> dict[str, Any]:
    """Return what became of one process."""
    found: dict[str, Any] = next(p for p in document["processes"] if p["name"] == name)
    return found


def finding(document: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return the finding of this kind."""
    found: dict[str, Any] = next(f for f in document["findings"] if f["kind"] == kind)
    return found


def printed(document: dict[str, Any], name: str) -> str:
    """Return what a program printed."""
    return Path(document["run_dir"], f"{name}.out").read_text(errors="replace")
