"""At which moment did an operation take its steps? Exact where the run followed a schedule.

There one process at a time went from step to step, and the outcome tells when each was let go. So
an access has a time of its own, and these times are the order in which everything happened.
"""

from __future__ import annotations

from itertools import takewhile

from common.history import trace
from common.history.case import Case
from common.history.trace import Passed
from common.report.order import Step


class Moments:
    """The steps that each process of a run passed; without a schedule there are none."""

    def __init__(self, case: Case) -> None:
        self._case = case
        steps = trace.read(case.outcome.trace)
        self._steps: dict[str, list[Passed]] = {}
        for step in steps:
            self._steps.setdefault(step.process, []).append(step)
        # Of a long run only the beginning is known.
        self._until = None if trace.complete(steps) else steps[-1].at

    def settle(self, position: int, accesses: list[Step]) -> None:
        """Give the accesses of an operation their moments, as far as they are known.

        An access happened in the turn that began with the step it is marked by; if the operation
        passed none, all of it was in one turn, and began when it entered.
        """
        found = self._frame(position)
        if found is None:
            return
        entered, left, steps = found
        inside = iter([step for step in steps if entered < step.at < left])
        if not any(entered < step.at < left for step in steps):
            for access in accesses:
                access.at = entered
            return
        for access in accesses:
            access.at = next((step.at for step in inside if step.step == access.mark), None)

    def locks(self, position: int) -> list[Step]:
        """Return where an operation took a lock on its way, and where it gave its locks back."""
        found = self._frame(position)
        if found is None:
            return []
        entered, left, steps = found
        taken = [step for step in steps if entered < step.at < left and step.takes]
        after = takewhile(lambda step: step.gives, (step for step in steps if step.at > left))
        return [
            *(Step(position, "takes", f"takes {step.takes}", step.at) for step in taken),
            *(Step(position, "gives", f"gives {step.gives} back", step.at) for step in after),
        ]

    def _frame(self, position: int) -> tuple[int, int, list[Passed]] | None:
        """Return when an operation entered and left, and its process's steps; None: unknown."""
        found, gate = self._case.history.record(position), self._case.outcome.gate_ns
        steps = self._steps.get(self._case.process(position), [])
        entered, left = found["entered"] - gate, found["left"] - gate
        known = steps and found["entered"] and found["left"]
        if not known or (self._until is not None and left >= self._until):
            return None
        return entered, left, steps
