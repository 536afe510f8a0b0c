"""Under a schedule: before each step a process says where it stands, and waits for the word.

The dialogue runs over the report socket, one short record a message. The process says where it
stands and whether it could go on without blocking; the launcher answers with one of the words. With
``AGAIN`` it names steps that the process may pass without asking; which of them it passed is told
in front of its next message.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import NamedTuple

from common.errors import ProcessError
from common.kernel.touch import Touch
from common.kernel.waits import Wait

# The launcher's words: go on; look whether you could; the same, and finish from now on; end your
# work before the next operation; end it right here; and, once it has ended, do it all again.
GO, LOOK, FINISH, STOP, LEAVE, AGAIN = b"g", b"l", b"f", b"s", b"x", b"a"
# The process's words: it could go on; it would block. What a step is stands behind a mark, once;
# where the process stands is the step's number behind another, and the word. Before either, behind
# a third mark: how many steps it passed without asking, and their numbers.
READY, NOT_READY = b"+", b"-"
MARK, STANDS, PASSED = b"@", b"#", b"!"

# Steps are numbered in the order in which a process first stood at them, in two bytes; those that
# may be passed without asking in one.
MOST_NUMBERS = 255
# A role makes few different touches; whatever makes more must not fill the memory.
MOST_MESSAGES = 4096


class Words(NamedTuple):
    """One step of a process: its number, and what it says there (would block, could go on)."""

    number: int
    said: tuple[bytes, bytes]


class Stop(Exception):
    """The schedule ends this process's work before the operation that it is about to begin."""


class Leave(BaseException):
    """The schedule goes on without this process: it leaves from where it stands.

    Not an ``Exception``: no role may take it for a failure of its own.
    """


class Turns:
    """The dialogue of one process; ``at`` is its step hook, ``within`` that of its channels.

    A channel's steps lie in the middle of an operation, whatever they are called.
    """

    def __init__(self, connection: int, wait: Wait) -> None:
        # The step before which this process can be stopped; none where its role knows none.
        self.begins = ""
        self._connection = connection
        self._wait = wait
        self._words: dict[tuple[str, Touch | None, bool], Words] = {}
        self._by_text: dict[str, Words] = {}
        self._free: frozenset[int] = frozenset()
        self._passed = bytearray()
        self._held = 0

    def at(self, step: str, touch: Touch | None = None, /) -> None:
        """Stand at ``step`` until the launcher lets this process pass.

        Raises ``Stop`` and ``Leave`` when it is told to.
        """
        # Who holds a lock is in the middle of an operation, such as one that takes two.
        self._stand(step, touch, step == self.begins and not self._held)
        if touch is not None:
            self._held += bool(touch.takes) - bool(touch.gives)

    def within(self, step: str, touch: Touch | None = None, /) -> None:
        """Stand at a ``step`` that is no beginning of an operation."""
        self._stand(step, touch, False)

    def _stand(self, step: str, touch: Touch | None, begins: bool) -> None:
        words = self._words.get((step, touch, begins)) or self._learn(step, touch, begins)
        ready = None if touch is None else touch.ready
        can_go = ready is None or ready()
        if can_go and words.number in self._free and len(self._passed) < MOST_NUMBERS:
            self._passed.append(words.number)
            return
        self._send(words.said[can_go])
        while True:
            word = self._heard(16)
            if word == GO:
                return
            if word in (LOOK, FINISH):
                self._wait.finishing |= word == FINISH
                self._send(READY if ready is None or ready() else NOT_READY)
            elif word == STOP and begins:
                raise Stop
            elif word == STOP:
                can = f"only at {self.begins}" if self.begins else "a role like this one cannot be"
                raise ProcessError(f"stopped at {step}, in the middle of its work", can)
            else:
                raise Leave

    def over(self, report: bytes) -> None:
        """Send the last report of this schedule."""
        self._send(report)

    def again(self) -> bool:
        """Wait for the end of this schedule; returns whether there is another one."""
        word = self._heard(1 + MOST_NUMBERS)
        self._free = frozenset(word[1:])
        self._held = 0
        return word[:1] == AGAIN

    def _send(self, message: bytes) -> None:
        if self._passed:
            message = PASSED + bytes([len(self._passed)]) + self._passed + message
            self._passed.clear()
        # A launcher that is gone is not an error: its children die with it.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            os.write(self._connection, message)

    def _heard(self, most: int) -> bytes:
        """Return the launcher's next word; none when it is gone."""
        try:
            return os.read(self._connection, most)
        except ConnectionResetError:
            return b""

    def _learn(self, step: str, touch: Touch | None, begins: bool) -> Words:
        """Number a step that is met for the first time."""
        if len(self._words) > MOST_MESSAGES:
            # The touches of a restarted role are new, and say the same.
            self._words.clear()
        told = touch or Touch()
        blocks = told.ready is not None
        facts = [step, told.reads, told.changes, told.takes, told.gives, blocks, begins]
        text = json.dumps(facts)
        if text not in self._by_text:
            number = len(self._by_text)
            stands = STANDS + number.to_bytes(2, "little")
            self._by_text[text] = Words(number, (stands + NOT_READY, stands + READY))
            self._send(MARK + text.encode())
        words = self._words[step, touch, begins] = self._by_text[text]
        return words
