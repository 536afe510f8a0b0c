"""What is an event of a trace? The few kinds of the Trace Event Format that are written here.

An event is a JSON object. Times come in as ns since the gate and stand in the file as µs, the
format's own unit, with three decimals (Google, "Trace Event Format", which Perfetto reads too).
A trace knows processes and their threads, and a viewer folds each process up: so the run is its
one process, and the processes of the run are the threads, by their own numbers.
"""

from __future__ import annotations

import math
from typing import Any

Event = dict[str, Any]

# No process of a run has these numbers: 1 is init, and pid_max is at most 2**22.
RUN = FINDINGS = 1
BEYOND = 1 << 22


def run_named(name: str) -> Event:
    """Name the whole."""
    return _named("process_name", FINDINGS, {"name": name})


def track_named(track: int, name: str, place: int) -> list[Event]:
    """Name a track; ``place`` orders it among the others."""
    return [
        _named("thread_name", track, {"name": name}),
        _named("thread_sort_index", track, {"sort_index": place}),
    ]


def _named(what: str, track: int, args: Event) -> Event:
    return {"ph": "M", "pid": RUN, "tid": track, "ts": 0, "name": what, "args": args}


def complete(track: int, name: str, start: int, end: int, args: Event) -> Event:
    """Return a slice of a track; it ends after it starts."""
    event: Event = {
        "ph": "X", "pid": RUN, "tid": track, "ts": start / 1000, "dur": (end - start) / 1000,
        "name": name,
    }  # fmt: skip
    return event | {"args": args} if args else event


def arrow(kind: str, number: int, source: tuple[int, int], target: tuple[int, int]) -> list[Event]:
    """Return an arrow between the slices that are open at two (track, time), in this order."""
    (track, at), (other, later) = source, target
    one = {"pid": RUN, "name": kind, "cat": kind, "id": number, "bp": "e"}
    return [
        {"ph": "s", "tid": track, "ts": at / 1000, **one},
        {"ph": "f", "tid": other, "ts": later / 1000, **one},
    ]


def counted(name: str, unit: str, at: int, value: float) -> Event:
    """Return the value of a counter from a time on."""
    return {"ph": "C", "pid": RUN, "ts": at / 1000, "name": name, "args": {unit: value}}


def instant(name: str, at: int, args: Event) -> Event:
    """Return a moment on the track of the findings."""
    return {
        "ph": "i", "pid": RUN, "tid": FINDINGS, "ts": at / 1000, "s": "t", "name": name,
        "args": args,
    }  # fmt: skip


def plain(value: float) -> float | str:
    """Return a number as JSON can hold it: what is not finite becomes a word."""
    return value if math.isfinite(value) else str(value)
