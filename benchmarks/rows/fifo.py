"""How many 64-byte orders go through a FIFO? Beside C and multiprocessing.Queue."""

from __future__ import annotations

from benchmarks import channels
from benchmarks.measuring import Bench, Row


def row(bench: Bench) -> Row:
    """One producer, one consumer, one core; as it is by default, and with ``batch``."""
    options = {"fifo": {}, "fifo, batch": {"batch": True}}
    return channels.row(bench, "fifo", options, [bench.out / "reference.fifo"])
