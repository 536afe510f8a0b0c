"""Under a schedule: before each step a process says where it stands, and waits for the word.

The dialogue runs over the report socket, one short record a message. The process says where it
stands and whether it could go on without blocking; the launcher answers with one of the words.
"""

from __future__ import annotations

import json
import os

from common.kernel.touch import Touch
from common.kernel.waits import Wait

# The launcher's words: go on; look whether you could; the same, and finish from now on; end your
# work before the next operation; end it right here; and, once it has ended, do it all again.
GO, LOOK, FINISH, STOP, LEAVE, AGAIN = b"g", b"l", b"f", b"s", b"x", b"a"
# The process's words: it could go on; it would block. Where it stands is a record behind a mark.
READY, NOT_READY = b"+", b"-"
MARK = b"@"

# A role makes few different touches; whatever makes more must not fill the memory.
MOST_MESSAGES = 4096


class Stop(Exception):
    """The schedule ends this process's work before the operation that it is about to begin."""


class Leave(BaseException):
    """The schedule goes on without this process: it leaves from where it stands.

    Not an ``Exception``: no role may take it for a failure of its own.
    """


class Turns:
    """The dialogue of one process; ``at`` is its step hook."""

    def __init__(self, connection: int, wait: Wait) -> None:
        self._connection = connection
        self._wait = wait
        self._messages: dict[tuple[str, Touch | None], tuple[bytes, bytes]] = {}

    def at(self, step: str, touch: Touch | None = None, /) -> None:
        """Stand at ``step`` until the launcher lets this process pass.

        Raises ``Stop`` and ``Leave`` when it is told to.
        """
        messages = self._messages.get((step, touch))
        if messages is None:
            if len(self._messages) > MOST_MESSAGES:
                self._messages.clear()
            messages = self._messages[step, touch] = _encoded(step, touch)
        ready = None if touch is None else touch.ready
        connection = self._connection
        os.write(connection, messages[ready is None or ready()])
        while True:
            word = os.read(connection, 16)
            if word == GO:
                return
            if word in (LOOK, FINISH):
                self._wait.finishing |= word == FINISH
                os.write(connection, READY if ready is None or ready() else NOT_READY)
            elif word == STOP:
                raise Stop
            else:
                raise Leave

    def again(self) -> bool:
        """Wait for the end of this schedule; returns whether there is another one."""
        return os.read(self._connection, 16) == AGAIN


def _encoded(step: str, touch: Touch | None) -> tuple[bytes, bytes]:
    touch = touch or Touch()
    facts = [step, touch.reads, touch.changes, touch.takes, touch.gives, touch.ready is not None]
    message = MARK + json.dumps(facts).encode()
    return message + NOT_READY, message + READY
