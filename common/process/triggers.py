"""Is it this step at which a fault strikes? Counts the steps of one process, in that process.

When a fault's turn has come the process tells the launcher and waits: the launcher does what is to
be done, while the process stands exactly before its step, and says when to go on.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from common import kinds
from common.kernel.touch import At, Touch
from common.process.reports import Reporter

if TYPE_CHECKING:
    from common.process.context import Context

# The step that a process passes when it is about to block in a wait of the lab.
WAIT = "wait"
# Whoever waits for the launcher's word looks no further than its own end: it dies with it.
FOR_EVER = 86_400.0 * 366


class Triggers:
    """The faults that wait for the steps of one process; ``faults`` are those of its job.

    ``life`` is 0 for a process of the plan, 1 for the first that was started in its place. Nothing
    is counted before ``armed`` is set, when the gate has opened.
    """

    def __init__(
        self,
        faults: Sequence[Mapping[str, Any]],
        seed: int,
        life: int,
        reporter: Reporter,
        context: Context,
    ) -> None:
        self.armed = False
        self._reporter = reporter
        self._context = context
        self._source = random.Random(seed ^ 2)
        self._watching = [self._watch(fault, life) for fault in faults]

    def hook(self, before: At | None) -> At:
        """Return a step hook that first does what ``before`` does, and then looks for faults."""

        def at(step: str, touch: Touch | None = None, /) -> None:
            if before is not None:
                before(step, touch)
            self.reach(step)

        return at

    def reach(self, step: str) -> None:
        """Count ``step`` for every fault that is about it; stand wherever one is due."""
        if not self.armed:
            return
        for due, fault in self._watching:
            # Whether it must wait is luck: it would make the numbers of all other steps luck, too.
            named = fault["step"] == step or not (fault["step"] or step == WAIT)
            if named and due():
                self._stand(fault, step)

    def _watch(
        self, fault: Mapping[str, Any], life: int
    ) -> tuple[Callable[[], bool], Mapping[str, Any]]:
        at: int = fault["at"]
        every: int = fault["every"]
        probability: float = fault["probability"]
        passed = 0

        def due() -> bool:
            nonlocal passed
            passed += 1
            if at:
                return passed == at and life == 0
            if every:
                return passed % every == 0
            return self._source.random() < probability

        return due, fault

    def _stand(self, fault: Mapping[str, Any], step: str) -> None:
        self._reporter.send("fault", number=fault["number"], step=step, at=time.monotonic_ns())
        answer = self._reporter.receive(FOR_EVER)
        word = (answer or {}).get("word")
        if word:
            did = kinds.load(kinds.FAULTS, fault["kind"]).act(word, self._context)
            if did is not None:
                self._reporter.send("fault", number=fault["number"], did=did)
