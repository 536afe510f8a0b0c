"""How fast, how fair, how contended was a run? Figures of a history and its outcome."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from common.history import overlap, scratch
from common.history.fill import channels
from common.history.merge import History, States
from common.history.operations import Effect
from common.history.outcome import Outcome


def measure(history: History, outcome: Outcome) -> dict[str, Any]:
    """Return the figures of a run; times in µs or s as their names say, counts otherwise.

    ``operations`` done or refused (``by_name`` too), ``refused``, ``in_flight``; ``wall_s`` from
    the gate to the last end, ``per_second``; ``overlaps``, ``contended`` and ``places`` (see
    :mod:`common.history.overlap`); ``waits`` for the lock; ``fairness`` between the processes of
    the most frequent effect; ``channels`` by number (see :mod:`common.history.fill`); ``cpu_s``
    (``total``, ``by_process``).
    """
    lasts = [_last_end(history, which) for which in range(len(history.processes))]
    wall = max(0.0, (max(lasts, default=0) - outcome.gate_ns) / 1e9)
    refused = int(history.tallies[:, States.REFUSED].sum())
    in_flight = int(history.tallies[:, States.IN_FLIGHT].sum())
    operations = len(history) - in_flight
    found = overlap.places(history)
    cpu = {process.name: process.cpu_s for process in outcome.processes}
    return {
        "operations": operations,
        "by_name": _by_name(history),
        "refused": refused,
        "in_flight": in_flight,
        "wall_s": wall,
        "per_second": operations / wall if wall else 0.0,
        "overlaps": sum(place.overlaps for place in found.values()),
        "contended": sum(place.contended for place in found.values()),
        "places": {name: asdict(place) for name, place in sorted(found.items())},
        "waits": _waits(history),
        "fairness": _fairness(history, outcome, lasts),
        "channels": {number: asdict(each) for number, each in channels(history).items()},
        "cpu_s": {"total": sum(cpu.values()), "by_process": cpu},
    }


def _last_end(history: History, which: int) -> int:
    left = history.processes[which].records["left"]
    # The last two may be halves of what is still in flight; the one before them has ended.
    return round(float(left[-3:].max()) * 1e9) if len(left) else 0


def _by_name(history: History) -> dict[str, int]:
    counts = history.tallies[:, [States.DONE, States.REFUSED]].sum((0, 1))
    return {
        operation.name: int(counts[code])
        for code, operation in sorted(history.operations.items())
        if counts[code]
    }


def _waits(history: History) -> dict[str, float]:
    """Return how long processes waited between asking for a lock and having it (µs)."""
    waited = scratch.join(_waited(history), np.int64)
    if not len(waited):
        return {"median_us": 0.0, "p99_us": 0.0, "max_us": 0.0, "total_s": 0.0}
    total, longest = int(waited.sum()), int(waited.max())
    median, p99 = (len(waited) - 1) // 2, (len(waited) * 99 - 1) // 100
    # One after the other: numpy is ten times as quick at one rank as at two.
    waited.partition(median)
    waited[median:].partition(p99 - median)
    return {
        "median_us": int(waited[median]) / 1e3,
        "p99_us": int(waited[p99]) / 1e3,
        "max_us": longest / 1e3,
        "total_s": total / 1e9,
    }


def _waited(history: History) -> Iterator[npt.NDArray[np.int64]]:
    # Where the kernel synchronises, asking and entering are one moment: nothing was waited for.
    for here in history.sections.values():
        asked, entered = here.column("asked"), here.column("entered")
        for at in scratch.parts(len(here)):
            found = entered[at] - asked[at]
            yield found[found > 0]


def _fairness(history: History, outcome: Outcome, lasts: list[int]) -> dict[str, Any]:
    """Return Jain's index over operations per second of the processes of the busiest effect.

    1 is fair, 1/n means that one of n processes did everything (Jain, Chiu and Hawe, 1984).
    ``smallest`` and ``largest`` are shares of the sum of all rates.
    """
    done = history.tallies[:, States.DONE]
    totals: dict[Effect, int] = {}
    for code, operation in history.operations.items():
        totals[operation.effect] = totals.get(operation.effect, 0) + int(done[:, code].sum())
    busiest = max(totals, key=lambda effect: totals[effect], default=None)
    if busiest is None or not totals[busiest]:
        return {"effect": "", "jain": 1.0, "smallest": 1.0, "largest": 1.0}
    codes = [code for code, each in history.operations.items() if each.effect is busiest]
    rates = [
        count * 1e9 / max(1, last - outcome.gate_ns)
        for count, last in zip(done[:, codes].sum(1).tolist(), lasts, strict=True)
        if count
    ]
    return {
        "effect": str(busiest),
        "jain": sum(rates) ** 2 / (len(rates) * sum(rate * rate for rate in rates)),
        "smallest": min(rates) / sum(rates),
        "largest": max(rates) / sum(rates),
    }
