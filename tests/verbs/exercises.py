"""Grading files and submissions for the tests of `run.py grade`, and how they are graded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.launching import ROOT, launch

EXERCISE = ROOT / "exercises/exchange.yaml"


ANSWERS = ROOT / "exercises/answers"


# In the first each teller comes alone; in the second both read before either writes.
SERIAL = (
    "v1:locked:1/trader-0:acquire,check,read,write,release"
    "/trader-1:acquire,check,read,write,release"
)


HARMFUL = (
    "v1:locked:1/trader-0:acquire,check,read"
    "/trader-1:acquire,check,read,write,release/trader-0:write,release"
)


TELLER = """\
#!{python}
import os, struct, sys
import sysv_ipc
memory = sysv_ipc.SharedMemory(int(os.environ["LAB_TABLE_KEY"], 16))
rows = os.environ["LAB_TABLE_ROWS"].split()
balance = 1000.0
for line in sys.stdin:
    verb, name, amount = line.split()
    at, amount = 24 * rows.index(name), float(amount)
    sell, buy, stock = struct.unpack("ddd", memory.read(24, at))
    sign = 1 if verb == "buy" else -1
    balance -= amount * buy if verb == "buy" else -amount * sell
    memory.write(struct.pack("d", stock + sign * amount), at + 16)
print("balance", balance)
"""


def grading(tmp_path: Path, items: str, more: str = "") -> Path:
    """Write a grading file for answers that set how tellers lock."""
    path = tmp_path / "grading.yaml"
    path.write_text(
        "title: locks\nsubmission: {into: processes.trader.locking}\n"
        f"deadlines: {{start: 20, run: 20, finish: 5}}\nitems:\n{items}{more}"
    )
    return path


def tokens(*words: str, more: str = "") -> str:
    """Return an item that replays these tokens."""
    quoted = ", ".join(f"'{word}'" for word in words)
    scenario = "scenario: exchange/two_traders, variant: locked"
    return f"  - {{name: a, points: 8, {scenario}, schedules: [{quoted}]{more}}}\n"


def graded(file: Path, submission: Path | str, *words: str) -> dict[str, Any]:
    """Grade an answer (a file, or the name of a shipped one); returns the document."""
    path = ANSWERS / f"{submission}.yaml" if isinstance(submission, str) else submission
    done = launch("grade", str(file), "--submission", str(path), "--json", *words)
    assert done.status == 0, done.err
    return done.document


def program(tmp_path: Path, text: str, more: str = "", run: float = 20) -> tuple[Path, Path]:
    """Return a grading file for one teller, and the directory of a submission of this script."""
    file = tmp_path / "program.yaml"
    file.write_text(
        f"submission: {{command: ./teller, into: processes.teller.command{more}}}\n"
        "items:\n  - {name: sums, points: 2, scenario: exchange/script}\n"
        f"deadlines: {{start: 20, run: {run}, finish: 1}}\n"
    )
    directory = tmp_path / "submission"
    directory.mkdir()
    (directory / "teller").write_text(text)
    return file, directory
