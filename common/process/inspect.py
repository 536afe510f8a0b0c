"""Where a process stands: what it waits for, by its own word and by the kernel's (proc(5))."""

from __future__ import annotations

import struct
import time
from pathlib import Path

from common.history import record
from common.names import printable

STATES = {
    "R": "running",
    "S": "sleeping",
    "D": "in an uninterruptible wait",
    "T": "stopped by a signal: it is neither slow nor deadlocked, SIGCONT wakes it",
    "t": "stopped by a debugger",
    "Z": "ended, not reaped",
}


def letter(pid: int) -> str:
    """Return the kernel's state of ``pid`` as ps(1) shows it: R, S, T, …; "" where it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[0]


def state(pid: int) -> str:
    """Return the kernel's state of ``pid`` in words, and where in the kernel it sleeps."""
    found = letter(pid)
    within = _wchan(pid) if found in ("S", "D") else ""
    return STATES.get(found, found or "gone") + (f" in {within}" if within else "")


def _wchan(pid: int) -> str:
    """Return the function of the kernel in which a process waits; "" where it is not told."""
    try:
        function = Path(f"/proc/{pid}/wchan").read_text()
    except OSError:
        return ""
    # What may not be told reads as 0.
    return "" if function == "0" else function


def waiting(path: Path) -> tuple[int, str]:
    """Return since when (ns) the process of this history file waits, and for what; 0: it does not.

    Raises ``OSError`` and ``struct.error`` when it has not come to its history.
    """
    with path.open("rb") as file:
        file.seek(record.STATUS_OFFSET)
        since, text = record.STATUS.unpack(file.read(record.STATUS.size))
    # A program that is not ours may have written anything there.
    return since, printable(text.partition(bytes(1))[0].decode(errors="replace"))


def standing(path: Path) -> str:
    """Return what the process of this history file says it waits for, and for how long."""
    try:
        since, text = waiting(path)
    except (OSError, struct.error):
        return "it had not come to its history"
    if not since:
        return "not in a wait of the lab's"
    waited = (time.monotonic_ns() - since) / 1e9
    return f"waiting for {text} for {waited:.1f} s"


def where(pid: int, path: Path) -> str:
    """Return both in one phrase."""
    return f"{standing(path)} ({state(pid)})"
