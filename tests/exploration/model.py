"""Small programs on shared variables, locks and counters, stepped by a strategy: no processes.

A program is a list of (action, name): ``read`` and ``write`` a variable, ``take`` and ``give`` a
lock, ``wait`` for and ``post`` to a counter that begins at 0.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from common.exploration.strategies import Options, State
from common.exploration.strategies.exhaustive import Strategy
from common.process.players import Stand

Program = list[tuple[str, str]]
NOTHING: frozenset[str] = frozenset()


class World:
    """The programs in one state."""

    def __init__(self, programs: Sequence[Program]) -> None:
        self.programs = programs
        self.done = [0] * len(programs)
        self.memory: dict[str, object] = {}
        self.holders: dict[str, int] = {}
        self.counters: dict[str, int] = {}
        self.seen: list[tuple[object, ...]] = [()] * len(programs)

    def stands(self) -> list[Stand | None]:
        """Return where each program stands; None where it has ended."""
        return [
            stand(*program[done]) if done < len(program) else None
            for program, done in zip(self.programs, self.done, strict=True)
        ]

    def enabled(self) -> list[int]:
        """Return the programs that can go on."""
        return [
            number
            for number, (program, done) in enumerate(zip(self.programs, self.done, strict=True))
            if done < len(program) and self._ready(*program[done])
        ]

    def _ready(self, action: str, name: str) -> bool:
        if action == "take":
            return name not in self.holders
        return action != "wait" or self.counters.get(name, 0) > 0

    def go(self, number: int) -> None:
        """Do one step of one program."""
        action, name = self.programs[number][self.done[number]]
        self.done[number] += 1
        if action == "read":
            self.seen[number] += (self.memory.get(name),)
        elif action == "write":
            # Whatever it saw decides what it writes.
            self.memory[name] = (number, self.done[number], self.seen[number])
        elif action == "take":
            self.holders[name] = number
        elif action == "give":
            self.holders.pop(name, None)
        else:
            change = 1 if action == "post" else -1
            self.counters[name] = self.counters.get(name, 0) + change

    def outcome(self) -> str:
        """Return everything that can be told of the end."""
        return repr((sorted(self.memory.items()), self.seen, self.done, sorted(self.holders)))


def stand(action: str, name: str) -> Stand:
    """Return the step before an action."""
    one = frozenset([name])
    reads = one if action == "read" else NOTHING
    changes = NOTHING if action == "read" else one
    takes = name if action == "take" else ""
    gives = name if action == "give" else ""
    return Stand(action, reads, changes, takes, gives, action in ("take", "wait"))


def walk(programs: Sequence[Program], options: Options) -> tuple[int, set[str], Strategy]:
    """Return how many schedules the strategy walks, their outcomes, and the strategy."""
    strategy = Strategy(options)
    walked = 0
    outcomes = set()
    while strategy.begin():
        world = World(programs)
        last = None
        while True:
            enabled = world.enabled()
            chosen = strategy.choose(State(world.stands(), enabled, last))
            if chosen is None:
                if not enabled:
                    walked += 1
                    outcomes.add(world.outcome())
                break
            world.go(chosen)
            last = chosen
        strategy.ended()
    return walked, outcomes, strategy


def drawn(source: random.Random) -> list[Program]:
    """Return two or three small programs; locks may be given by nobody, and taken crosswise."""
    programs = []
    for _ in range(source.choice([2, 2, 3])):
        program: Program = []
        while len(program) < source.randint(1, 4):
            match source.random():
                case chance if chance < 0.15:
                    program.append((source.choice(["wait", "post"]), "counter"))
                case chance if chance < 0.45:
                    lock = source.choice("LM")
                    inside = [(source.choice(["read", "write"]), source.choice("xy"))]
                    program += [("take", lock), *inside[: source.randint(0, 1)], ("give", lock)]
                case _:
                    program.append((source.choice(["read", "write"]), source.choice("xyz")))
        programs.append(program[:4])
    return programs
