"""Every order of steps, or one of each class of orders that cannot be told apart.

Depth first. With reduction: dynamic partial-order reduction (Flanagan and Godefroid, POPL 2005)
with sleep sets (Godefroid, LNCS 1032): where two steps neither of which changes what the other
touches follow each other, only one order is walked. A bound on preemptions (Musuvathi and Qadeer,
PLDI 2007) walks without reduction, since the two together would leave out more than they say.
"""

from __future__ import annotations

from typing import Any

from common.exploration.strategies import Options, State
from common.process.players import Stand

Clock = dict[int, int]


class _Node:
    """One state on the path: who may still be tried there, and what was chosen last."""

    def __init__(self, state: State, sleep: set[int], preemptions: int) -> None:
        self.stands = state.stands
        self.enabled = state.enabled
        self.last = state.last
        self.sleep = sleep
        self.wanted: set[int] = set()
        self.done: set[int] = set()
        self.chosen: int | None = None
        self.preemptions = preemptions
        # How far the chosen step lies behind each process: what happened before it.
        self.clock: Clock = {}

    @property
    def step(self) -> Stand:
        """The step that was chosen last."""
        assert self.chosen is not None
        stand = self.stands[self.chosen]
        assert stand is not None
        return stand


class Strategy:
    """The walk: a path of nodes; each schedule leaves it at the deepest node with work left."""

    def __init__(self, options: Options) -> None:
        self.reduce = options.reduce and options.preemptions is None
        self.bound = options.preemptions
        self.path: list[_Node] = []
        self.depth = 0
        self.started = False
        self.complete = False
        self._saved: list[Any] = []

    def begin(self) -> bool:
        """Go back to the deepest state where something is left to try."""
        self.depth = 0
        if not self.started or self._saved:
            self.started = True
            return True
        while self.path:
            node = self.path[-1]
            if node.chosen is not None:
                node.done.add(node.chosen)
            left = self._left(node)
            if left:
                node.chosen = left[0]
                self._set_clock(node, self.path[:-1])
                return True
            self.path.pop()
        self.complete = True
        return False

    def choose(self, state: State) -> int | None:
        """Follow the path as far as it goes, then take the first that is not asleep."""
        if self.depth < len(self.path):
            node = self.path[self.depth]
            self.depth += 1
            return node.chosen
        node = _Node(state, self._asleep(state), self._preemptions())
        if self._saved:
            return self._rebuild(node)
        self.path.append(node)
        self.depth += 1
        if self.reduce:
            self._race()
        left = [number for number in state.enabled if number not in node.sleep]
        if not left:
            # Nobody can go on, or whoever can was walked from an earlier state.
            self.path.pop()
            self.depth -= 1
            return None
        # Whoever went on last first: the fewest switches come first.
        node.chosen = state.last if state.last in left else left[0]
        node.wanted = {node.chosen} if self.reduce else set(left)
        self._set_clock(node, self.path[:-1])
        return node.chosen

    def ended(self) -> None:
        """Do nothing: the path says where the schedule went."""

    def _rebuild(self, node: _Node) -> int:
        """Fill in the next state of a saved path, which the walk has just met again."""
        node.chosen, done, wanted, sleep = self._saved.pop(0)
        node.done, node.wanted, node.sleep = set(done), set(wanted), set(sleep)
        self._set_clock(node, self.path)
        self.path.append(node)
        self.depth += 1
        assert node.chosen is not None
        return node.chosen

    def _left(self, node: _Node) -> list[int]:
        left = sorted(node.wanted - node.done - node.sleep)
        if self.bound is None:
            return left
        return [n for n in left if node.preemptions + _preempts(node, n) <= self.bound]

    def _preemptions(self) -> int:
        if not self.path:
            return 0
        above = self.path[-1]
        assert above.chosen is not None
        return above.preemptions + _preempts(above, above.chosen)

    def _set_clock(self, node: _Node, before: list[_Node]) -> None:
        """Note which steps before ``node`` its chosen step happens after (vector clock)."""
        if not self.reduce:
            return
        clock: Clock = {}
        turn = 1
        for earlier in before:
            turn += earlier.chosen == node.chosen
            if earlier.chosen == node.chosen or earlier.step.meets(node.step):
                for number, count in earlier.clock.items():
                    clock[number] = max(clock.get(number, 0), count)
        assert node.chosen is not None
        clock[node.chosen] = turn
        node.clock = clock

    def _asleep(self, state: State) -> set[int]:
        if not self.reduce or not self.path:
            return set()
        above = self.path[-1]
        step = above.step
        tried = (above.sleep | above.done) - {above.chosen}
        return {
            number
            for number in tried
            if (stand := above.stands[number]) is not None and not stand.meets(step)
        }

    def _race(self) -> None:
        """Have each process also tried where its next step could have come before another's."""
        before = self.path[:-1]
        turns = _turns(before)
        for number, stand in enumerate(self.path[-1].stands):
            if stand is None:
                continue
            # What happened before the next step of this process, as far as we have come back.
            known = dict(self._clock_of(number))
            for at in range(len(before) - 1, -1, -1):
                node = before[at]
                other = node.chosen
                assert other is not None
                if other == number or not stand.meets(node.step):
                    continue
                # It could not have come there: what it waited for lies behind.
                if node.stands[number] is stand and number not in node.enabled:
                    continue
                if known.get(other, 0) < turns[at]:
                    self._reverse(at, number, stand, turns)
                for process, count in node.clock.items():
                    known[process] = max(known.get(process, 0), count)

    def _reverse(self, at: int, number: int, stand: Stand, turns: list[int]) -> None:
        """Want a schedule in which ``stand`` of process ``number`` comes before the step ``at``.

        Any process will do whose step can come first of all that did not happen after that step
        (the initials of Abdulla, Aronsson, Jonsson and Sagonas, POPL 2014).
        """
        node = self.path[at]
        mine = node.chosen
        assert mine is not None
        first: set[int] = set()
        met: list[_Node] = []
        seen: set[int] = set()
        for later in self.path[at + 1 : -1]:
            assert later.chosen is not None
            if later.clock.get(mine, 0) >= turns[at]:
                continue
            if later.chosen not in seen and not any(m.step.meets(later.step) for m in met):
                first.add(later.chosen)
            seen.add(later.chosen)
            met.append(later)
        if number not in seen and not any(m.step.meets(stand) for m in met):
            first.add(number)
        if first & node.wanted:
            return
        able = sorted(first & set(node.enabled))
        node.wanted |= {number if number in able else able[0]} if able else set(node.enabled)

    def _clock_of(self, number: int) -> Clock:
        for earlier in reversed(self.path[:-1]):
            if earlier.chosen == number:
                return earlier.clock
        return {}

    def proof(self, walked: int) -> str:
        """Say what was walked: all, all of a class, or some of an unknown number."""
        if not self.complete:
            return (
                f"{walked:,} of an unknown number of schedules were walked: what was not found may "
                "still be there"
            )
        if self.bound is not None:
            return f"all {walked:,} schedules with at most {self.bound} preemptions were walked"
        if self.reduce:
            return (
                f"all interleavings are covered: {walked:,} stand for all, since orders of steps "
                "that cannot influence each other were walked once"
            )
        if walked == 1:
            return "the only interleaving was walked"
        return f"all {walked:,} interleavings were walked"

    def save(self) -> dict[str, Any]:
        """Return the path as what was done, wanted and chosen at each node."""
        return {
            "complete": self.complete,
            "started": self.started,
            "path": [
                [node.chosen, sorted(node.done), sorted(node.wanted), sorted(node.sleep)]
                for node in self.path
            ]
            # What was not met again yet.
            + self._saved,
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Take over a path; its states are met again when the first schedule follows it."""
        self.complete, self.started = saved["complete"], saved["started"]
        self._saved = saved["path"]


def _preempts(node: _Node, number: int) -> bool:
    # Only who could have gone on is preempted.
    return node.last is not None and node.last != number and node.last in node.enabled


def _turns(path: list[_Node]) -> list[int]:
    """Return for each step of the path how manieth it is of its process."""
    counts: dict[int | None, int] = {}
    found = []
    for node in path:
        counts[node.chosen] = counts.get(node.chosen, 0) + 1
        found.append(counts[node.chosen])
    return found
