"""How many 64-byte orders go through a System V queue? Beside C and multiprocessing.Queue."""

from __future__ import annotations

from benchmarks import channels
from benchmarks.measuring import Bench, Row


def row(bench: Bench) -> Row:
    """One producer, one consumer, one core."""
    return channels.row(bench, "sysv_queue", {"sysv_queue": {}}, [])
