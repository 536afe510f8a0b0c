"""How much was there when? The stock of each row, and how many messages stand in each channel."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from common.history.case import Case
from common.history.operations import Effect
from common.report.trace.events import Event, counted
from common.report.trace.flows import matched
from common.report.trace.slices import CHUNK
from common.report.trace.window import Window


def stocks(case: Case, window: Window) -> Iterator[Event]:
    """Yield the stock of each row as each update wrote it, at the time at which that left."""
    history = case.history
    updates = history.select(Effect.UPDATE)
    for row, opening in enumerate(case.outcome.initial or []):
        same = updates[history.objects[updates] == row]
        times = history.gather("left", same) - case.outcome.gate_ns
        order = np.argsort(times, kind="stable")
        values = history.gather("v4", same)[order]
        yield from _steps(case.row(row), "stock", times[order], values, opening[-1], window)


def depths(case: Case, window: Window) -> Iterator[Event]:
    """Yield for each channel how many items were placed there and not taken.

    Lost items stay counted, and an item that is taken twice counts twice. One whose sender's stamp
    is later than its receiver's was placed when it was taken.
    """
    history, gate = case.history, case.outcome.gate_ns
    placed, taken = history.select(Effect.OFFER, Effect.PASS), history.select(Effect.TAKE)
    for channel in case.plan.channels:
        come = placed[history.objects[placed] == channel.index]
        gone = taken[history.objects[taken] == channel.index]
        if not len(come):
            continue
        arrivals, departures = history.gather("left", come), history.gather("left", gone)
        sources, targets = matched(history, come, gone, same_place=True)
        at, ends = np.searchsorted(come, sources), departures[np.searchsorted(gone, targets)]
        np.minimum.at(arrivals, at, ends)
        times = np.concatenate([arrivals, departures]) - gate
        changes = np.repeat([1, -1], [len(come), len(gone)])
        order = np.lexsort((-changes, times))
        depth = np.cumsum(changes[order])
        yield from _steps(channel.name, "depth", times[order], depth, 0, window)


def _steps(
    name: str,
    unit: str,
    times: npt.NDArray[np.int64],
    values: npt.NDArray[np.float64] | npt.NDArray[np.int64],
    opening: float,
    window: Window,
) -> Iterator[Event]:
    """Yield a counter's value at the window's start and whenever it changes, until its end."""
    first, last = np.searchsorted(times, [window.start, window.end], side="right").tolist()
    yield from _value(name, unit, window.start, values[first - 1].item() if first else opening)
    for start in range(first, last, CHUNK):
        part = slice(start, min(start + CHUNK, last))
        for at, value in zip(times[part].tolist(), values[part].tolist(), strict=True):
            yield from _value(name, unit, at, value)


def _value(name: str, unit: str, at: int, value: float) -> Iterator[Event]:
    # What another program wrote may be no number: a counter cannot show it.
    if math.isfinite(value):
        yield counted(name, unit, max(0, at), value)
