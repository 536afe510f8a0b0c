"""When did each process wait, and when was it inside? A lane for each.

Few operations are drawn one by one; of many, what share of each span of time they took.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from common.history.operations import Effect
from common.report.page.subject import Subject
from common.verdict.wording import many, span

# Operations that are drawn one by one; beyond, shares of so many spans of time.
SINGLE, SPANS = 3000, 300

Times = npt.NDArray[np.int64]


def activity(subject: Subject) -> dict[str, Any] | None:
    """Return the picture of a run, a lane for each process; None when nothing was done."""
    history, gate = subject.case.history, subject.case.outcome.gate_ns
    # A page lies inside the printing of its job; who was refused had waited and was inside, too.
    pages = [code for code, each in history.operations.items() if each.effect is Effect.PAGE]
    framed = np.flatnonzero(~history.in_flight & ~np.isin(history.codes, pages))
    cuts = np.searchsorted(framed, history.bounds)
    single = len(framed) <= SINGLE
    lanes = []
    for at, process in enumerate(history.processes):
        mine = framed[cuts[at] : cuts[at + 1]]
        if not len(mine):
            continue
        asked, entered, left = (
            history.gather(n, mine) - gate for n in ("asked", "entered", "left")
        )
        lane = {"name": process.name, **_figures(asked, entered, left, subject.end_ns)}
        if single:
            lane["bars"] = np.stack([asked, entered, left], axis=1).tolist()
        else:
            lane["wait"] = _shares(asked, entered, subject.end_ns)
            lane["inside"] = _shares(entered, left, subject.end_ns)
        lanes.append(lane)
    if not lanes:
        return None
    longest = max(lanes, key=lambda lane: lane["longest"])
    return {
        "kind": "lanes",
        "title": "Who waits, who is inside",
        "sentence": f"The longest wait was {span(longest['longest'])}, of {longest['name']}; "
        f"a process waited {_share(sum(lane['waits'] for lane in lanes) / len(lanes))} of the time "
        "on the average."
        if longest["longest"]
        else "Nobody waited.",
        "thinned": ""
        if single
        else f"{many(len(framed), 'operation')} are drawn as the share of each of {SPANS} spans of "
        "time",
        "end": subject.end_ns,
        "lanes": lanes,
        "heads": ["process", "operations", "waited", "inside", "longest wait"],
        "rows": [
            [
                lane["name"], f"{lane['count']:,}", _share(lane["waits"]), _share(lane["holds"]),
                span(lane["longest"]),
            ]
            for lane in lanes
        ],
    }  # fmt: skip


def _figures(asked: Times, entered: Times, left: Times, end: int) -> dict[str, Any]:
    waited = np.maximum(entered - asked, 0)
    wait, inside = (int(each.sum()) for each in (waited, left - entered))
    return {
        "count": len(asked),
        "longest": int(waited.max()),
        "waits": min(1.0, wait / end),
        "holds": min(1.0, inside / end),
    }


def _share(part: float) -> str:
    return "under 1 %" if 0 < part < 0.01 else f"{100 * part:.0f} %"


def _shares(starts: Times, ends: Times, end: int) -> list[float]:
    """Return which share of each span of time lies inside intervals that do not overlap."""
    edges = np.linspace(0, end, SPANS + 1)
    lengths = np.maximum(ends - starts, 0)
    sums = np.cumsum(lengths)
    points = np.stack([starts, np.maximum(starts, ends)], axis=1).ravel()
    inside = np.interp(edges, points, np.stack([sums - lengths, sums], axis=1).ravel())
    shares: list[float] = np.round(np.diff(inside) * SPANS / end, 3).tolist()
    return shares
