"""The rules of the Trace Event Format that viewers hold a file to, and those of Perfetto beyond.

Perfetto takes the events of a track by time, in the file's order where times are equal; drops
slices that are not nested (google/perfetto#4280) and slices without length; binds the ends of an
arrow to the innermost slice that is open; and draws it from the slice that began first.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

Event = dict[str, Any]
Track = tuple[int, int]
Ends = dict[tuple[str, str, int], Event]


@dataclass
class Bar:
    """A slice, in whole ns; ``inside`` names the slices around it, the outermost first."""

    track: str
    name: str
    start: int
    end: int
    args: Event
    inside: list[str]


@dataclass
class Trace:
    """What a viewer makes of a file: its slices, arrows, counters and moments, and its faults.

    An arrow is its kind with the slices that it joins.
    """

    faults: list[str]
    bars: list[Bar]
    arrows: list[tuple[str, Bar, Bar]]
    counters: dict[str, list[tuple[int, float]]]
    moments: list[Event]

    def named(self, name: str, track: str | None = None) -> list[Bar]:
        """Return the slices of a name, of one track or of all."""
        return [bar for bar in self.bars if bar.name == name and track in (None, bar.track)]


def read(text: str) -> Trace:
    """Read a trace as a viewer does; whatever breaks a rule is a fault."""
    document = json.loads(text, parse_constant=lambda word: f"not JSON: {word}")
    trace = Trace([], [], [], {}, [])
    if document["displayTimeUnit"] not in ("ms", "ns"):
        trace.faults.append("displayTimeUnit is neither ms nor ns")
    names: dict[Track, str] = {}
    processes: set[int] = set()
    bars: dict[Track, list[Bar]] = defaultdict(list)
    ends: Ends = {}
    events = [event for event in document["traceEvents"] if _sound(event, trace.faults)]
    # What enclosing slices are, only the order of times tells; sorting keeps the file's order.
    for event in sorted(events, key=lambda event: float(event["ts"])):
        track = (event["pid"], event.get("tid", 0))
        match event["ph"]:
            case "M" if event["name"] == "process_name":
                processes.add(event["pid"])
            case "M" if event["name"] == "thread_name":
                if track in names or event["args"]["name"] in names.values():
                    trace.faults.append(f"{event} names a track again")
                names[track] = event["args"]["name"]
            case "X":
                start = round(event["ts"] * 1000)
                bar = Bar("", event["name"], start, start + round(event["dur"] * 1000), {}, [])
                bar.args = event.get("args", {})
                _place(bar, bars[track], trace.faults)
            case "s":
                key = (event["cat"], event["name"], event["id"])
                if key in ends:
                    trace.faults.append(f"{event} begins an arrow again")
                ends[key] = event
            case "f":
                _join(event, ends, bars, trace)
            case "C":
                for unit, value in event["args"].items():
                    points = trace.counters.setdefault(f"{event['name']} {unit}", [])
                    points.append((round(event["ts"] * 1000), value))
            case "i":
                trace.moments.append(event)
        if event["ph"] in "Xi" and track not in names:
            trace.faults.append(f"{event} is on a track without a name")
        if event["pid"] not in processes:
            trace.faults.append(f"{event} is of a process without a name")
    trace.faults += [f"{event} is the beginning of no arrow" for event in ends.values()]
    for track, placed in bars.items():
        for bar in placed:
            bar.track = names.get(track, "")
            trace.bars.append(bar)
    return trace


def _sound(event: Event, faults: list[str]) -> bool:
    """Tell whether an event has the fields of its kind, of the right types."""
    number = (int, float)
    wrong = [key for key in ("ph", "name") if not isinstance(event.get(key), str) or not event[key]]
    wrong += [key for key in ("pid",) if type(event.get(key)) is not int]
    wrong += [key for key in ("ts",) if type(event.get(key)) not in number or event[key] < 0]
    match event.get("ph"):
        case "M":
            (value,) = event["args"].values()
            if event["name"].endswith("_name") and not (isinstance(value, str) and value):
                wrong.append("args")
        case "X":
            if type(event.get("dur")) not in number or event["dur"] <= 0:
                wrong.append("dur")
            if not isinstance(event.get("args", {}), dict):
                wrong.append("args")
        case "s" | "f":
            wrong += [key for key in ("cat", "id") if key not in event]
            wrong += [] if event.get("bp") == "e" else ["bp"]
        case "C":
            values = event["args"].values()
            if not values or not all(type(v) in number and math.isfinite(v) for v in values):
                wrong.append("args")
        case "i":
            wrong += [] if event.get("s") in ("t", "p", "g") else ["s"]
        case _:
            wrong.append("ph")
    if event.get("ph") != "C" and type(event.get("tid")) is not int:
        wrong.append("tid")
    faults += [f"{event}: {key} is not as it should be" for key in wrong]
    return not wrong


def _open(placed: list[Bar], at: int) -> list[Bar]:
    """Return the slices of a track that are open at a time, the outermost first."""
    return [bar for bar in placed if bar.start <= at < bar.end]


def _place(bar: Bar, placed: list[Bar], faults: list[str]) -> None:
    around = _open(placed, bar.start)
    faults += [f"{bar} reaches out of {outer}" for outer in around if bar.end > outer.end]
    bar.inside = [outer.name for outer in around]
    placed.append(bar)


def _join(
    event: Event,
    ends: Ends,
    bars: dict[Track, list[Bar]],
    trace: Trace,
) -> None:
    begun = ends.pop((event["cat"], event["name"], event["id"]), None)
    if begun is None:
        trace.faults.append(f"{event} ends no arrow")
        return
    joined = []
    for end in (begun, event):
        around = _open(bars[end["pid"], end["tid"]], round(end["ts"] * 1000))
        if not around:
            trace.faults.append(f"{end} is inside no slice")
            return
        joined.append(around[-1])
    if joined[0].start > joined[1].start:
        trace.faults.append(f"a viewer turns the arrow round: {joined}")
    trace.arrows.append((event["cat"], joined[0], joined[1]))
