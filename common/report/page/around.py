"""What happened around the witnesses of a finding? A timeline, and the records themselves."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from common.history.case import Case
from common.history.merge import Positions
from common.history.operations import Effect
from common.report.page.subject import Subject
from common.verdict.finding import Instance
from common.verdict.wording import number, span

# More bars, or more rows of a table, are no longer read.
BARS, ROWS = 160, 24
# The picture opens on the witnesses with so much of their time on each side, and holds more.
MARGIN, SURROUNDINGS = 0.35, 4.0


@dataclass(frozen=True)
class Surroundings:
    """Operations around witnesses (both positions, in order of time); ``others`` were too many.

    ``start`` and ``end`` bound the witnesses' time inside, ns since the gate.
    """

    subject: Subject
    witnesses: list[int]
    operations: list[int]
    others: int
    start: int
    end: int


def around(subject: Subject, instance: Instance) -> Surroundings | None:
    """Return what happened around one case of a finding; None where no record bears witness."""
    history, gate = subject.case.history, subject.case.outcome.gate_ns
    every = dict.fromkeys(subject.position(each) for each in instance.witnesses)
    # What was cut off has no end, and perhaps no beginning: then it has no place in time.
    witnesses = [at for at in every if history.record(at)["entered"]]
    if not witnesses:
        return None
    found = [history.record(at) for at in witnesses]
    start = min(each["entered"] for each in found)
    end = max(each["left"] or each["entered"] for each in found)
    reach = int((end - start) * SURROUNDINGS) + 1
    near = _between(subject.case, start - reach, end + reach)
    begun, left = history.gather("entered", near), history.gather("left", near)
    order = np.argsort(_distance(begun, left, found), kind="stable")
    others = near[order][~np.isin(near[order], witnesses)]
    room = max(BARS - len(witnesses), 0)
    shown = [*witnesses, *others[:room].tolist()]
    shown.sort(key=lambda at: (history.record(at)["entered"], at))
    dropped = max(len(others) - room, 0)
    return Surroundings(subject, witnesses, shown, dropped, start - gate, end - gate)


def _between(case: Case, start: int, end: int) -> Positions:
    """Return the operations that were inside between two times (ns), ascending.

    A process ends its operations one after the other, so its records are searched, not read.
    """
    found = [np.empty(0, np.int64)]
    for base, process in zip(case.history.bounds, case.history.processes, strict=False):
        left = process.records["left"]
        count = len(left) - int(len(left) > 0 and left[-1] == 0)
        first = bisect_left(left, start / 1e9, 0, count)
        stop = bisect_right(left, end / 1e9, first, count)
        # Who was inside at the end left later; the pages of a print come before it.
        while stop < count:
            stop += 1
            if case.history.operation(base + stop - 1).effect is not Effect.PAGE:
                break
        found.append(np.arange(base + first, base + stop))
    near = np.concatenate(found)
    return near[case.history.gather("entered", near) <= end]


def _distance(
    begun: npt.NDArray[np.int64], left: npt.NDArray[np.int64], found: list[dict[str, Any]]
) -> npt.NDArray[np.int64]:
    """Return how far each interval is from the nearest witness; 0 if it overlaps one."""
    gaps = [
        np.maximum(np.maximum(each["entered"] - left, begun - (each["left"] or each["entered"])), 0)
        for each in found
    ]
    nearest: npt.NDArray[np.int64] = np.min(gaps, axis=0)
    return nearest


def timeline(scene: Surroundings, title: str, sentence: str, overwritten: bool) -> dict[str, Any]:
    """Return the picture of it: a lane for each process, a bar for each operation.

    ``overwritten`` says that of the last two witnesses the second wrote over the first.
    """
    case = scene.subject.case
    lanes: dict[str, list[dict[str, Any]]] = {}
    # The witnesses' processes come first, as the sentence names them.
    for position in [*scene.witnesses, *scene.operations]:
        lanes.setdefault(case.process(position), [])
    for position in scene.operations:
        lanes[case.process(position)].append(_bar(scene, position))
    margin = max(int((scene.end - scene.start) * MARGIN), 1)
    bars = [bar for lane in lanes.values() for bar in lane]
    return {
        "kind": "lanes",
        "title": title,
        "sentence": sentence,
        "thinned": f"the {len(scene.operations)} operations nearest to it are drawn, "
        f"{scene.others:,} more left out"
        if scene.others
        else "",
        "start": min(bar["asked"] for bar in bars),
        "end": max(bar["left"] for bar in bars),
        "view": [max(scene.start - margin, min(scene.start, 0)), scene.end + margin],
        "lanes": [{"name": name, "bars": bars} for name, bars in lanes.items()],
        "links": _links(scene, overwritten),
    }


def _bar(scene: Surroundings, position: int) -> dict[str, Any]:
    case, gate = scene.subject.case, scene.subject.case.outcome.gate_ns
    found, operation = case.history.record(position), case.history.operation(position)
    entered = found["entered"] - gate
    left = found["left"] - gate if found["left"] else entered
    text = f"{case.process(position)}: {operation.name}, number {found['seq']}"
    told = _told(case, position)
    waited = found["entered"] - found["asked"] if found["asked"] else 0
    text += f"; waited {span(max(waited, 0))}, inside {span(left - entered)}; " + "; ".join(told)
    return {
        "asked": entered - max(waited, 0),
        "entered": entered,
        "left": left,
        "inner": operation.effect is Effect.PAGE,
        "witness": position in scene.witnesses,
        "label": told,
        "text": text,
    }


def _told(case: Case, position: int) -> list[str]:
    """Return what an operation did, in words short enough for its bar."""
    found, operation = case.history.record(position), case.history.operation(position)
    if case.history.in_flight[position]:
        return [f"{operation.name}, cut off"]
    if case.history.refused[position]:
        return [f"{operation.name} refused"]
    match operation.effect:
        case Effect.UPDATE:
            return [f"read {number(found['v3'])}", f"wrote {number(found['v4'])}"]
        case Effect.SET:
            return [f"wrote {number(found['v0'])}, {number(found['v1'])}"]
        case Effect.SNAPSHOT:
            return [f"read {number(found['v0'])}, {number(found['v1'])}"]
        case Effect.PAGE:
            return [f"page {found['v0']:.0f} of {found['v1']:.0f}"]
        case _:
            return [f"{operation.name} {case.job(found['item'])}"]


def _links(scene: Surroundings, overwritten: bool) -> list[dict[str, Any]]:
    case, gate = scene.subject.case, scene.subject.case.outcome.gate_ns

    def left(position: int) -> int:
        return int(case.history.record(position)["left"])

    pairs: list[tuple[int, int, str]] = []
    if overwritten and len(scene.witnesses) > 1:
        pairs.append((scene.witnesses[-2], scene.witnesses[-1], "overwritten"))
    ways: dict[int, list[int]] = {}
    for position in scene.witnesses:
        if case.history.operation(position).place != "table":
            ways.setdefault(case.history.record(position)["item"], []).append(position)
    for way in ways.values():
        way.sort(key=left)
        pairs += [(one, two, "the same job") for one, two in pairwise(way)]
    return [
        {
            # What was written over was written before: whoever did it may have left later.
            "from": [case.process(one), min(left(one), left(two)) - gate],
            "to": [case.process(two), left(two) - gate],
            "text": text,
        }
        for one, two, text in pairs
        if case.process(one) != case.process(two)
    ]


def raw(scene: Surroundings) -> list[dict[str, Any]]:
    """Return the records around it in order of time, the witnesses and those nearest to them."""
    case, gate = scene.subject.case, scene.subject.case.outcome.gate_ns
    history = case.history
    found = [history.record(at) for at in scene.witnesses]
    at = np.array(scene.operations, dtype=np.int64)
    entered = np.array([history.record(each)["entered"] for each in scene.operations])
    left = np.array([history.record(each)["left"] for each in scene.operations])
    order = np.lexsort((_distance(entered, left, found), ~np.isin(at, scene.witnesses)))
    rows = []
    for position in sorted(at[order][:ROWS].tolist(), key=scene.operations.index):
        each, operation = history.record(position), history.operation(position)
        rows.append(
            {
                "witness": position in scene.witnesses,
                "process": case.process(position),
                "seq": each["seq"],
                "operation": operation.name + (" (refused)" if history.refused[position] else ""),
                "place": case.place(position),
                # A trade is about no job, unless it does an order.
                "job": case.job(each["item"]) if each["item"] or operation.place != "table" else "",
                **{
                    name: each[name] - gate if each[name] else None
                    for name in ("asked", "entered", "left")
                },
                "values": _values(case, position),
            }
        )
    return rows


def _values(case: Case, position: int) -> str:
    found, names = case.history.record(position), case.history.operation(position).values
    # Of what was cut off or refused, only the first value means something.
    partial = case.history.in_flight[position] or case.history.refused[position]
    return ", ".join(
        f"{name} {found[f'v{at}']:.12g}"
        for at, name in enumerate(names)
        if name and (at == 0 or not partial)
    )
