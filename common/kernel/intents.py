"""The intent record behind a table, byte for byte: who is inside, and what it is about to change.

Native words of 8 bytes, each read and written whole, behind the rows of the table at the next
multiple of 64. docs/recovery.md says the same for a program in any language.
"""

from __future__ import annotations

import sys
from typing import Any

from common.errors import KernelObjectError

ALIGNMENT = 64
WORD = 8

MAGIC = int.from_bytes(b"LABINT01", sys.byteorder)

# Words of the record. The two changes have three each: a cell's number, what it held, what it is
# to hold. PID and START name the owner; they mean something only while the phase is not CLEAR.
NAME, POLICY, STATE, PID, START, OPERATION, ITEM, COUNT = range(8)
CHANGES = 8
CHANGE_WORDS = 3
MOST_CHANGES = 2
RECORD_WORDS = 16

# The state is a phase, and in the bits above it the number of recoveries so far: so that one store
# ends a recovery and counts it.
CLEAR, INSIDE, INTENDED, COMMITTED, RECOVERING = range(5)
PHASE_BITS = 3
PHASE = (1 << PHASE_BITS) - 1

UNDO, FINISH = 1, 2
POLICIES = {"undo": UNDO, "finish": FINISH}

# Behind the record one entry a recovery, in order; when they are full the last one is used again.
FOUND, DEAD, BY, BEGAN, WHAT, ABOUT, CHANGED, ENDED = range(8)
ENTRY_CHANGES = 8
ENTRY_CHANGE_WORDS = 4
ENTRY_WORDS = 16
ROOM = 1022

SPACE = (RECORD_WORDS + ROOM * ENTRY_WORDS) * WORD


def place(size: int) -> int:
    """Return the byte at which the record of a table with ``size`` bytes of rows begins."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def behind(size: int) -> int:
    """Return how many bytes must follow the rows."""
    return place(size) - size + SPACE


class Intents:
    """The record of an attached table: ``words`` as integers, ``values`` the same as doubles.

    ``cells`` are the rows as integers: values are compared and carried bit by bit.
    """

    def __init__(self, memory: memoryview, size: int) -> None:
        """Look at the memory of a table with ``size`` bytes of rows."""
        start = place(size)
        mine = memory[start : start + SPACE]
        self.words = mine.cast("q")
        self.values = mine.cast("d")
        self.cells = memory[:size].cast("q")
        self._mine = mine

    @property
    def phase(self) -> int:
        """How far the owner is."""
        return self.words[STATE] & PHASE

    @property
    def recoveries(self) -> int:
        """How many recoveries were brought to their end."""
        return self.words[STATE] >> PHASE_BITS

    @property
    def known(self) -> bool:
        """Whether there is a record, of an earlier run."""
        return self.words[NAME] == MAGIC

    def make(self, policy: str) -> None:
        """Make the record anew: nobody is inside, and nothing was ever recovered."""
        self.words[STATE] = CLEAR
        self.rule(policy)
        self.words[NAME] = MAGIC

    def rule(self, policy: str) -> None:
        """Say what becomes of a half-done operation from now on: ``undo`` or ``finish``."""
        self.words[POLICY] = POLICIES[policy]

    def forget(self) -> None:
        """Forget the recoveries of earlier runs; who may be inside stays."""
        self.words[STATE] &= PHASE

    def changes(self) -> list[tuple[int, int, int]]:
        """Return the changes that the owner intends: cell, old and new value, as integers.

        Raises ``KernelObjectError`` for what is no change of this table.
        """
        words, count = self.words, self.words[COUNT]
        places = range(CHANGES, CHANGES + CHANGE_WORDS * count, CHANGE_WORDS)
        if not 0 <= count <= MOST_CHANGES or not all(
            0 <= words[at] < len(self.cells) for at in places
        ):
            raise KernelObjectError(
                "the intent record behind the table is damaged: it names what is not there",
                "whoever writes to it must keep to docs/recovery.md",
            )
        return [(words[at], words[at + 1], words[at + 2]) for at in places]

    def entry(self, number: int) -> int:
        """Return the word at which the entry of recovery ``number`` (from 0) begins."""
        return RECORD_WORDS + min(number, ROOM - 1) * ENTRY_WORDS

    def told(self) -> list[dict[str, Any]]:
        """Return the entries of all recoveries so far, JSON-able; of too many, the first ones."""
        return [self._told(self.entry(number)) for number in range(min(self.recoveries, ROOM))]

    def _told(self, at: int) -> dict[str, Any]:
        words, values = self.words, self.values
        changes = []
        for number in range(words[at + CHANGED]):
            here = at + ENTRY_CHANGES + number * ENTRY_CHANGE_WORDS
            old, new, seen = words[here + 1 : here + 4]
            found = "new" if seen == new else "old" if seen == old else "foreign"
            changes.append(
                {
                    "cell": words[here],
                    "old": values[here + 1],
                    "new": values[here + 2],
                    "seen": values[here + 3],
                    "found": found,
                }
            )
        return {
            "phase": PHASES[words[at + FOUND]],
            "dead": words[at + DEAD],
            "by": words[at + BY],
            "began_ns": words[at + BEGAN],
            "ended_ns": words[at + ENDED],
            "operation": words[at + WHAT],
            "item": words[at + ABOUT],
            "changes": changes,
        }

    def close(self) -> None:
        """Release the views; nothing may be read afterwards."""
        for view in (self.words, self.values, self.cells, self._mine):
            view.release()


PHASES = ("clear", "inside", "intended", "committed", "recovering")
