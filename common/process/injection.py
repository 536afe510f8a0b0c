"""Lets the faults of a plan strike, at the steps of its processes or at their times."""

from __future__ import annotations

import heapq
import itertools
import random
import time
from collections.abc import Callable, Mapping
from typing import Any

from common import kinds
from common.errors import LabError
from common.kernel.objects import Maker
from common.process import addresses, reports
from common.process.members import Member, Members
from common.scenario.faults import FaultPlan, Trigger
from common.scenario.plan import Plan

# What is written down of faults in a run: a storm has more than anybody reads.
MOST_TOLD = 10_000


def job_faults(plan: Plan, name: str, group: str) -> list[dict[str, Any]]:
    """Return the faults that wait for the steps of a process, as its job tells them."""
    return [
        {
            "number": number,
            "kind": fault.kind,
            "step": fault.trigger.step,
            "at": fault.trigger.at,
            "every": fault.trigger.every,
            "probability": fault.trigger.probability,
        }
        for number, fault in enumerate(plan.faults)
        if fault.trigger.process in (name, group) and fault.trigger.after is None
    ]


def disk_needed(plan: Plan) -> int:
    """Return the bytes of the small disk that the faults of a plan need; 0: it needs none."""
    sizes = [0]
    for fault in plan.faults:
        module = kinds.load(kinds.FAULTS, fault.kind)
        if hasattr(module, "disk"):
            sizes.append(module.disk(module.Options(**fault.options)))
    return max(sizes)


class Injector:
    """The faults of one run. A kind sees it as the scene (:class:`common.process.faults.Scene`).

    ``told`` is what was done, in order: ``kind``, ``process`` and ``step`` ("" for none), ``at_ns``
    (CLOCK_MONOTONIC), and what the kind notes; ``struck`` counts all of it.
    """

    def __init__(
        self,
        plan: Plan,
        places: dict[str, Any],
        maker: Maker,
        members: Members,
        tell: Callable[..., None],
    ) -> None:
        self.plan = plan
        self.addresses = places
        self.maker = maker
        self.members = members
        self.random = random.Random(f"{plan.seed}/faults")
        self.told: list[dict[str, Any]] = []
        self.struck = [0] * len(plan.faults)
        self._tell = tell
        self._note: dict[str, Any] = {}
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._finishing = False
        self._signs: dict[str, list[Callable[[], None]] | None] = {}

    def begin(self) -> None:
        """The gate has opened: times count from now."""
        for number, fault in enumerate(self.plan.faults):
            if fault.trigger.after is not None:
                self._at_time(number, fault, fault.trigger.after)

    def pause(self, most: float | None) -> float | None:
        """Return how long nothing is due (s), ``most`` at most."""
        if not self._due:
            return most
        left = max(0.0, self._due[0][0] - time.monotonic())
        return left if most is None else min(left, most)

    def look(self) -> None:
        """Do what is due."""
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            heapq.heappop(self._due)[2]()

    def later(self, seconds: float, do: Callable[[], None]) -> None:
        """Call ``do`` after so many seconds."""
        heapq.heappush(self._due, (time.monotonic() + seconds, next(self._order), do))

    def give(self, sign: str) -> None:
        """Call what waits for ``sign``, now and from now on."""
        waiting, self._signs[sign] = self._signs.get(sign), None
        for do in waiting or ():
            do()

    def finish(self) -> None:
        """Hold nobody any more until a sign is given: who gives it may have been told to finish."""
        self._finishing = True
        for sign in list(self._signs):
            self.give(sign)

    def when(self, sign: str, do: Callable[[], None]) -> None:
        """Call ``do`` as soon as ``sign`` was given."""
        waiting = self._signs.setdefault(sign, [])
        if waiting is None or self._finishing:
            do()
        else:
            waiting.append(do)

    def going(self, member: Member) -> Callable[[], None]:
        """Return what lets ``member`` go on from its step: called again, it does nothing."""
        stands = True

        def go_on() -> None:
            nonlocal stands
            if stands:
                stands = False
                _go_on(member, {})

        return go_on

    def note(self, **facts: Any) -> None:
        """Add facts to what is written down of the fault that strikes now."""
        self._note |= facts

    def reached(self, member: Member, report: Mapping[str, Any]) -> bool:
        """A process says that it stands at a step where a fault is due; False: it may not say so.

        It is data from outside: only the faults of the plan strike, each as often as it may.
        """
        number, step = report.get("number"), reports.harmless(report.get("step"))
        if type(number) is not int or not 0 <= number < len(self.plan.faults):
            return False
        fault = self.plan.faults[number]
        trigger = fault.trigger
        if trigger.after is not None or not self._about(trigger, member):
            return False
        if "did" in report:
            return self._did(number, member, report["did"])
        if member.ended:
            # It was killed by another hand while it stood there.
            return True
        strikes = self._may(number)
        pause = self._strike(number, fault, member, step) if strikes else 0.0
        if pause is not None:
            word = _word(fault) if strikes else {}
            if pause:
                self.later(pause, lambda: _go_on(member, word))
            else:
                _go_on(member, word)
        return True

    def _did(self, number: int, member: Member, did: Any) -> bool:
        """Note what a process did itself when its fault struck."""
        fault = self.plan.faults[number]
        mine = [
            told
            for told in self.told
            if (told["kind"], told["process"]) == (fault.kind, member.outcome.name)
        ]
        if not (mine and isinstance(did, dict)) or "did" in mine[-1]:
            return False
        mine[-1]["did"] = reports.bounded(did)
        helper = did.get("helper")
        if type(helper) is int:
            self.members.adopt(member, helper)
        return True

    def _about(self, trigger: Trigger, member: Member) -> bool:
        return trigger.process in (member.outcome.name, member.first_name, member.group)

    def _may(self, number: int) -> bool:
        trigger = self.plan.faults[number].trigger
        if trigger.since and self._signs.get(trigger.since, []) is not None:
            return False
        return not trigger.most or self.struck[number] < trigger.most

    def _at_time(self, number: int, fault: FaultPlan, seconds: float) -> None:
        def strike() -> None:
            if not self._may(number):
                return
            member = self._drawn(fault.trigger.process)
            if member is not None or not fault.trigger.process:
                self._strike(number, fault, member, "")
            if fault.trigger.period:
                # Not in step with the work: half the period to one and a half.
                self._at_time(number, fault, fault.trigger.period * (0.5 + self.random.random()))

        self.later(seconds, strike)

    def _drawn(self, name: str) -> Member | None:
        """Return a living process of this name or group; None when there is none."""
        living = [
            member
            for member in self.members
            if not member.ended
            # Killed a moment ago: its end has not been seen yet.
            and member.outcome.struck != "KILL"
            and name in (member.outcome.name, member.first_name, member.group)
        ]
        return self.random.choice(living) if living else None

    def _strike(
        self, number: int, fault: FaultPlan, member: Member | None, step: str
    ) -> float | None:
        module = kinds.load(kinds.FAULTS, fault.kind)
        self._note = {}
        self.struck[number] += 1
        table = self.addresses["table"]
        holders = {"holders": addresses.lock_holders(table)} if step and table else {}
        at = time.monotonic_ns()
        try:
            pause: float | None = module.strike(module.Options(**fault.options), self, member)
        except (LabError, OSError) as error:
            # What is to go wrong is gone already, or cannot: the run goes on, and says so.
            self._note["failed"] = str(error)
            pause = 0.0
        process = member.outcome.name if member is not None else ""
        facts = {"kind": fault.kind, "process": process, "step": step, **holders, **self._note}
        if len(self.told) < MOST_TOLD:
            self.told.append(facts | {"number": number, "at_ns": at})
        self._tell("fault", **facts)
        return pause


def _word(fault: FaultPlan) -> dict[str, Any]:
    module = kinds.load(kinds.FAULTS, fault.kind)
    if not hasattr(module, "word"):
        return {}
    word: dict[str, Any] = module.word(module.Options(**fault.options))
    return word


def _go_on(member: Member, word: dict[str, Any]) -> None:
    member.say(reports.encode({"type": "go_on", "word": word}))
