"""Is there an order of the operations that explains what each of them saw? A check of the checks.

Herlihy and Wing (Linearizability: A Correctness Condition for Concurrent Objects, 1990): each
operation happens at one moment between asking and leaving, and the object behaves as if one
process used it. Objects are judged one by one, which is enough: a history is linearizable if and
only if each of its objects is. The properties look for one kind of harm each; this looks for none
and must agree with them: a valid run of which it says no is undecided.

Not looked at: the rate that a trade paid, what came of a job after it was taken, and how much a
queue may hold.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from common.errors import UsageError
from common.history.case import Case
from common.verdict.calls import Object, rows
from common.verdict.evidence import witness
from common.verdict.finding import Witness
from common.verdict.placement import Placed, place
from common.verdict.queue_calls import queues
from common.verdict.wording import many

LINEARIZABLE, NOT, UNDECIDED = "linearizable", "not linearizable", "undecided"
_ANSWERS = {True: LINEARIZABLE, False: NOT, None: UNDECIDED}

# Seconds that the search may take for all objects of a run.
SECONDS = 10.0

# The longest run that is searched: each operation takes most of a kilobyte meanwhile.
LARGEST = 1_000_000


@dataclass(frozen=True)
class Answer:
    """What was found about one object.

    ``order`` are the positions of the operations in the order found: all of them, or the longest
    beginning that could be put in order; ``stuck`` is the operation that had to come next and could
    not. None: there is none, or every operation has its place and the run ended otherwise. Jobs
    that were put into a queue at overlapping times may stand in either order.
    """

    name: str
    answer: str
    operations: int
    order: list[int]
    stuck: Witness | None
    sentence: str

    def document(self) -> dict[str, Any]:
        """Return it as JSON can hold it, with the length of the order in its place."""
        return {**asdict(self), "order": len(self.order)}


def check(
    case: Case, seconds: float = SECONDS, clock: Callable[[], float] = time.monotonic
) -> list[Answer]:
    """Return an answer for each row and queue on which something was done.

    ``seconds`` is the time for all of them; small ones come first. Raises ``UsageError`` for a run
    of more than ``LARGEST`` operations.
    """
    if len(case.history) > LARGEST:
        raise UsageError(
            f"a search for an order takes up to {LARGEST:,} operations, and this run has "
            f"{len(case.history):,}",
            "run the scenario with fewer operations",
        )
    end = clock() + seconds
    every = [each for each in (*rows(case), *queues(case)) if each.calls]
    found = {
        each.name: place(each.threads, each.specification, lambda: clock() >= end)
        for each in sorted(every, key=lambda each: each.calls)
    }
    return [_answer(case, each, found[each.name], seconds) for each in every]


def _answer(case: Case, each: Object, placed: Placed, seconds: float) -> Answer:
    stuck = placed.stuck
    told = stuck is not None and placed.whole is False
    return Answer(
        each.name,
        _ANSWERS[placed.whole],
        each.calls,
        placed.order,
        witness(case, stuck.position) if stuck is not None and told else None,
        _sentence(case, each, placed, seconds),
    )


def _sentence(case: Case, each: Object, placed: Placed, seconds: float) -> str:
    every, count = many(each.calls, "operation"), f"{len(placed.order):,}"
    if placed.whole:
        return f"{each.name}: one order explains {every}."
    if placed.whole is None:
        return (
            f"{each.name}: an order of {every} was neither found nor ruled out in {seconds:g} s; "
            f"the longest has {count} of them."
        )
    stuck = placed.stuck
    objection = each.specification.objection(placed.state, None if stuck is None else stuck.act)
    lead = f"{each.name}: no order explains {every}"
    if stuck is None:
        return f"{lead}: {objection}."
    number = case.history.record(stuck.position)["seq"]
    what = f"{case.history.operation(stuck.position).name} {number:,} of "
    what += case.process(stuck.position)
    return f"{lead}; the longest has {count} of them, and {what} cannot follow: {objection}."
