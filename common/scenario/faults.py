"""What shall go wrong in a run, and when: the part of a plan that a scenario calls ``faults``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from common import kinds

if TYPE_CHECKING:
    from common.scenario.shapes import Chosen

# They only put the steps of processes into an order.
HARMLESS = ("pause", "sign")


@dataclass(frozen=True)
class Trigger:
    """When a fault strikes.

    ``process`` names a process, or a group of which each process counts by itself ("" for none).
    At ``step`` ("" for any): the ``at``-th time in its first life, or ``every`` so many times, or
    each time with ``probability``, drawn from the process's seed; 0 for none of them. Without
    steps: ``after`` seconds from the opening of the gate, and again each ``period`` seconds; of a
    group then one is drawn. ``most`` bounds how often it strikes in a run; 0 for no bound.
    ``since`` names a sign before which it never strikes ("" for none).
    """

    process: str = ""
    step: str = ""
    at: int = 0
    every: int = 0
    probability: float = 0.0
    after: float | None = None
    period: float = 0.0
    most: int = 0
    since: str = ""


@dataclass(frozen=True)
class FaultPlan:
    """One fault: its kind, that kind's options, and its trigger."""

    kind: str
    options: dict[str, Any]
    trigger: Trigger


@dataclass(frozen=True)
class Restart:
    """What becomes of a process that was killed or failed: it is started anew, ``limit`` times.

    Before the first time ``back_off`` seconds pass, twice as many before each further one, never
    more than ``longest``.
    """

    limit: int = 5
    back_off: float = 0.01
    longest: float = 1.0

    def pause(self, life: int) -> float:
        """Return the seconds before the ``life``-th new life begins (from 1)."""
        return min(self.longest, self.back_off * 2.0 ** min(life - 1, 60))


def faults(values: Mapping[str, Any]) -> list[FaultPlan]:
    """Return the faults of a scenario that was read, each with every option written out."""
    found = []
    for chosen in values.get("faults", []):
        options = kinds.load(kinds.FAULTS, chosen.kind).Options(**chosen.options)
        given = dict(chosen.common)
        if not {"at", "every", "probability", "after"} & given.keys():
            given["at"] = 1
        found.append(FaultPlan(chosen.kind, asdict(options), Trigger(**given)))
    return found


def restart(chosen: Chosen) -> Restart | None:
    """Return the restart policy of a group; None where there is none."""
    given = chosen.common.get("restart")
    return None if given is None else Restart(**given)
