"""Writes down what a holder is about to do, and ends what a dead one left half done, exactly once.

A lock that survives its holder does not make the table whole. Whoever goes in looks at the intent
record (:mod:`common.kernel.intents`) first: if it is not clear, its owner died inside, whether the
lock tells (EOWNERDEAD), the kernel gave it back in silence (SEM_UNDO, a file lock), or the owner is
just gone. A change that the cell already shows was made, one whose old value it still shows was
not; anything else was written by somebody without the lock, and is left alone. This is write-ahead
logging for one operation at a time (Gray and Reuter, "Transaction Processing", 1993).

A recovery is an operation of the same kind: what was seen is written down before anything is
changed, every store of it can be done twice, and one last store ends it and counts it. So it does
not matter where whoever recovers is killed itself.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from common import names
from common.errors import KernelObjectError
from common.kernel import intents
from common.kernel.intents import Intents
from common.kernel.locks import Lock, Quick
from common.kernel.touch import At, Touch

STEPS = ("commit", "recover")

# A cell, what it holds, what it is to hold.
Change = tuple[int, float, float]

# In the flags of a process (PF_EXITING): it is being taken apart.
_EXITING = 4
# Fields of /proc/PID/stat after the command, which may hold blanks and parentheses itself.
_STATE, _FLAGS, _START = 0, 6, 19


class Recovery:
    """One process's part in it: ``enter`` and ``leave`` frame what is done inside the lock.

    ``at`` is the step hook of the process, or None. A holder that changes anything says so with
    ``intend`` before, and with ``commit`` when all of it is done.
    """

    def __init__(self, record: Intents, what: str, at: At | None = None) -> None:
        self._record = record
        self._what = what
        self._at = at
        self._pid = os.getpid()
        self._start = names.start_time(self._pid) or 0
        self._clear = 0

    def enter(self) -> None:
        """Be the owner; whatever a dead owner left is ended first.

        Raises ``KernelObjectError`` when the owner lives: then two are inside at once.
        """
        words = self._record.words
        state = words[intents.STATE]
        if state & intents.PHASE:
            state = self._recover(state >> intents.PHASE_BITS, state & intents.PHASE)
        words[intents.PID] = self._pid
        words[intents.START] = self._start
        self._clear = state
        words[intents.STATE] = state | intents.INSIDE

    def intend(self, operation: int, item: int, changes: Sequence[Change]) -> None:
        """Say what will be changed: at most two cells, for one operation.

        ``operation`` is its code in the records of the history, ``item`` its number there.
        """
        words, values = self._record.words, self._record.values
        words[intents.OPERATION] = operation
        words[intents.ITEM] = item
        words[intents.COUNT] = len(changes)
        at = intents.CHANGES
        for cell, old, new in changes:
            words[at] = cell
            values[at + 1] = old
            values[at + 2] = new
            at += intents.CHANGE_WORDS
        # Last of all: from here on whoever comes next knows what to look for.
        words[intents.STATE] = self._clear | intents.INTENDED

    def commit(self) -> None:
        """Say that every change was made."""
        if self._at is not None:
            self._at("commit", _NOTHING)
        self._record.words[intents.STATE] = self._clear | intents.COMMITTED

    def leave(self) -> None:
        """Be the owner no more, before the lock is given back."""
        self._record.words[intents.STATE] = self._clear

    def settle(self) -> None:
        """End what a dead owner left, and stay outside: for whoever has the table to itself."""
        state = self._record.words[intents.STATE]
        if state & intents.PHASE:
            self._recover(state >> intents.PHASE_BITS, state & intents.PHASE)

    @property
    def orphaned(self) -> bool:
        """Whether somebody is inside, by the record."""
        return bool(self._record.words[intents.STATE] & intents.PHASE)

    def _recover(self, count: int, phase: int) -> int:
        """End what the owner left in ``phase``, after ``count`` recoveries; returns the new state.

        Raises ``KernelObjectError`` for an owner that lives.
        """
        record, words = self._record, self._record.words
        pid, start = words[intents.PID], words[intents.START]
        if not gone(pid, start):
            raise KernelObjectError(
                f"{self._what}: by its intent record process {pid} is inside, and it lives",
                "the lock let two in at once, or somebody left without clearing the record",
            )
        entry = record.entry(count)
        if phase != intents.RECOVERING:
            self._note(entry, phase)
            self._step()
            words[intents.STATE] = count << intents.PHASE_BITS | intents.RECOVERING
        words[intents.PID] = self._pid
        words[intents.START] = self._start
        words[entry + intents.BY] = self._pid
        if words[entry + intents.FOUND] == intents.INTENDED:
            self._settle_cells(entry)
        words[entry + intents.ENDED] = time.monotonic_ns()
        self._step()
        words[intents.STATE] = (count + 1) << intents.PHASE_BITS | intents.CLEAR
        return (count + 1) << intents.PHASE_BITS

    def _note(self, entry: int, phase: int) -> None:
        """Write down what is found, before anything is changed."""
        record, words = self._record, self._record.words
        # Who had not yet said what it would do did nothing: what stands there is of another.
        said = phase != intents.INSIDE
        words[entry + intents.FOUND] = phase
        words[entry + intents.DEAD] = words[intents.PID]
        words[entry + intents.BY] = self._pid
        words[entry + intents.BEGAN] = time.monotonic_ns()
        words[entry + intents.WHAT] = words[intents.OPERATION] if said else 0
        words[entry + intents.ABOUT] = words[intents.ITEM] if said else 0
        changes = record.changes() if said else []
        words[entry + intents.CHANGED] = len(changes)
        at = entry + intents.ENTRY_CHANGES
        for cell, old, new in changes:
            words[at], words[at + 1], words[at + 2] = cell, old, new
            words[at + 3] = record.cells[cell]
            at += intents.ENTRY_CHANGE_WORDS

    def _settle_cells(self, entry: int) -> None:
        words, cells = self._record.words, self._record.cells
        back = words[intents.POLICY] == intents.UNDO
        for number in range(words[entry + intents.CHANGED]):
            at = entry + intents.ENTRY_CHANGES + number * intents.ENTRY_CHANGE_WORDS
            cell, old, new, seen = words[at : at + 4]
            before, after = (new, old) if back else (old, new)
            # A second look: who recovered before, and died of it, may have done this one.
            if seen == before and cells[cell] == before:
                self._step()
                cells[cell] = after

    def _step(self) -> None:
        if self._at is not None:
            self._at("recover", _NOTHING)


# No other process can look at what lies between these steps.
_NOTHING = Touch()


def gone(pid: int, start: int) -> bool:
    """Say whether the process that had ``pid`` and started at ``start`` ticks does nothing more.

    A lock may be given back while its holder is still being taken apart: by its state it then
    runs, and only its flags tell (proc(5)).
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return True
    fields = text.rpartition(")")[2].split()
    ended = fields[_STATE] in "ZXx" or bool(int(fields[_FLAGS]) & _EXITING)
    return ended or int(fields[_START]) != start


class RecoveringLock:
    """A lock whose holder is the owner of the intent record: taken with both, given with both."""

    def __init__(self, lock: Lock, recovery: Recovery) -> None:
        self._lock = lock
        self._recovery = recovery
        self.acquire, self.release = _framed(lock.acquire, lock.release, recovery)
        quick = lock.quick
        if quick.take is not None and quick.give is not None:
            take, give = _framed(quick.take, quick.give, recovery)
            stand, _ = _framed(quick.stand, quick.give, recovery)
            quick = quick._replace(take=take, stand=stand, give=give)
        self.quick: Quick = quick
        self.taking, self.giving = lock.taking, lock.giving
        self.abandon, self.close = lock.abandon, lock.close

    @property
    def reading(self) -> Lock:
        """What to hold for reading only; a table that a dead owner left is settled first."""
        reading = self._lock.reading
        return self if reading is self._lock else _Reading(reading, self, self._recovery)


class _Reading:
    """The lock of those who only read. Many may be inside: none of them may change anything."""

    def __init__(self, lock: Lock, alone: RecoveringLock, recovery: Recovery) -> None:
        self._lock, self._alone, self._recovery = lock, alone, recovery
        self.release, self.quick = lock.release, lock.quick
        self.taking, self.giving = lock.taking, lock.giving
        self.abandon, self.close = lock.abandon, lock.close

    @property
    def reading(self) -> Lock:
        """Itself."""
        return self

    def acquire(self) -> None:
        """Take the lock; no writer is inside then, so an owner that the record names is dead."""
        self._lock.acquire()
        while self._recovery.orphaned:
            self._lock.release()
            self._alone.acquire()
            self._alone.release()
            self._lock.acquire()


def _framed(
    take: Callable[[], object], give: Callable[[], object], recovery: Recovery
) -> tuple[Callable[[], None], Callable[[], None]]:
    enter, leave = recovery.enter, recovery.leave

    def entering() -> None:
        take()
        enter()

    def leaving() -> None:
        leave()
        give()

    return entering, leaving
