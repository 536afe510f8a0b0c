"""Can operations be placed one after the other, each inside its interval? The search for an order.

Wing and Gong (Testing and Verifying Concurrent Objects, 1993) place operations one by one and step
back where none fits; Lowe (Testing for Linearizability, 2017) remembers what was tried: the set of
the operations placed, and the state. A process's operations follow one another, so that set is how
many of each process are placed, and only the next one of each can come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from common.verdict.sequential import NEVER, Specification

# How many steps are taken between two looks at the clock.
STRIDE = 256

# Bits that hold how many operations of one process are placed.
BITS = 32


class Call(NamedTuple):
    """One operation: from when to when (ns, closed), what it did, and its place in the history.

    It need not have happened if ``end`` is NEVER; ``position`` is -1 for what nobody recorded.
    """

    begin: int
    end: int
    act: Any
    position: int


@dataclass
class Placed:
    """The longest sequence found: positions in the history, and the state after it.

    ``whole`` is True if everything that happened is in it, False if no order has it all, None if
    time ran out first. ``stuck`` is what had to come next and could not; None is the end of the
    run, in which the state would have to be another.
    """

    whole: bool | None
    order: list[int]
    state: Any
    stuck: Call | None


class _Node(NamedTuple):
    """The operations placed so far: the last one, and the node before it."""

    position: int
    before: _Node | None


def place(
    threads: Sequence[Sequence[Call]], specification: Specification, expired: Callable[[], bool]
) -> Placed:
    """Return an order of all calls that the specification allows, or the longest found.

    ``threads`` holds the calls of each process in its order; ``expired`` tells when to give up.
    """
    search = _Search(threads, specification)
    steps = 0
    while search.stack:
        if search.complete():
            return search.found(True)
        steps += 1
        if steps % STRIDE == 0 and expired():
            return search.found(None)
        search.step()
    return search.found(False)


class _Search:
    """Where the search stands: how many calls of each process are placed, and the state."""

    def __init__(self, threads: Sequence[Sequence[Call]], specification: Specification) -> None:
        self.threads = [[*calls, None] for calls in threads]
        self.specification = specification
        self.counts = [0] * len(threads)
        self.key = 0
        self.open = sum(call.end != NEVER for calls in threads for call in calls)
        self.state = specification.opening
        self.node: _Node | None = None
        self.depth = 0
        self.seen = {(0, self.state)}
        self.best: tuple[int, _Node | None, Any, Call | None] = (-1, None, self.state, None)
        # One entry a call placed: what else could have come here, the process, the state before.
        self.stack: list[tuple[Iterator[tuple[int, Any]], int, Any]] = [
            (self.moves(), -1, self.state)
        ]

    def complete(self) -> bool:
        """Tell whether all that happened is placed and the run may have ended so."""
        return not self.open and self.specification.may_end(self.state)

    def step(self) -> None:
        """Place one more call, or take one back."""
        moves, process, before = self.stack[-1]
        for which, state in moves:
            key = self.key + (1 << BITS * which)
            if (key, state) not in self.seen:
                self.seen.add((key, state))
                self._place(which, state)
                return
        if self.depth > self.best[0]:
            self.best = (self.depth, self.node, self.state, self._next())
        self.stack.pop()
        if process >= 0:
            self._take_back(process, before)

    def moves(self) -> Iterator[tuple[int, Any]]:
        """Yield which process's call can come next and the state then, the earliest end first."""
        pending = [
            (call.end, which, call)
            for which, (calls, count) in enumerate(zip(self.threads, self.counts, strict=True))
            if (call := calls[count]) is not None
        ]
        pending.sort(key=lambda each: each[:2])
        after, state = self.specification.after, self.state
        for _, which, call in pending:
            # None may come after one that began when it had ended.
            if call.begin <= pending[0][0]:
                for follows in after(state, call.act):
                    yield which, follows

    def found(self, whole: bool | None) -> Placed:
        """Return where the search ended, or the best place it has been in."""
        depth, node, state, stuck = self.best
        if whole or self.depth > depth:
            node, state, stuck = self.node, self.state, self._next()
        order = []
        while node is not None:
            order.append(node.position)
            node = node.before
        return Placed(whole, [each for each in reversed(order) if each >= 0], state, stuck)

    def _next(self) -> Call | None:
        """Return the call that has to come first of those that are left."""
        pending = (calls[count] for calls, count in zip(self.threads, self.counts, strict=True))
        left = [call for call in pending if call is not None and call.end != NEVER]
        return min(left, key=lambda call: call.end, default=None)

    def _place(self, which: int, state: Any) -> None:
        call = self.threads[which][self.counts[which]]
        assert call is not None
        before, self.state = self.state, state
        self.open -= call.end != NEVER
        self.counts[which] += 1
        self.key += 1 << BITS * which
        self.node = _Node(call.position, self.node)
        self.depth += 1
        self.stack.append((self.moves(), which, before))

    def _take_back(self, which: int, state: Any) -> None:
        assert self.node is not None
        self.counts[which] -= 1
        self.key -= 1 << BITS * which
        call = self.threads[which][self.counts[which]]
        assert call is not None
        self.open += call.end != NEVER
        self.node = self.node.before
        self.depth -= 1
        self.state = state
