"""How long a process may stand in one wait, and how it learns that it should finish."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from common.errors import ChannelFull, WaitExpired

# A blocked system call returns at least this often (seconds), to look at the deadline and at
# ``finishing``: a signal that arrives just before the call would otherwise be missed.
TICK = 0.1
# How every channel calls what the sender of a full one waits for: ``room in channel jobs``.
ROOM = "room in "


class Wait:
    """The patience of one process: ``seconds`` for any single wait, shared by all its objects.

    ``finishing`` becomes true when the process is told to finish what it has begun and stop.
    ``refuses_full``, set before channels are opened: it rather does not send than wait for room.
    ``publish`` is called with what the process waits for when it blocks, and with "" afterwards.
    """

    def __init__(self, seconds: float, publish: Callable[[str], None] | None = None) -> None:
        self.seconds = seconds
        self.finishing = False
        self.refuses_full = False
        self.publish = publish

    @contextmanager
    def standing(self, what: str, *, begun: bool = False) -> Iterator[Deadline]:
        """Mark that the process now blocks on ``what``; yields the deadline of this wait.

        Raises ``ChannelFull`` for room in a channel, where the process does not wait for that; of
        a message that was ``begun`` the rest is waited for all the same.
        """
        if self.refuses_full and what.startswith(ROOM) and not begun:
            raise ChannelFull(f"there is no {what}")
        if self.publish is not None:
            self.publish(what)
        try:
            yield Deadline(what, self.seconds)
        finally:
            if self.publish is not None:
                self.publish("")


class Deadline:
    """The end of one wait, in CLOCK_MONOTONIC seconds."""

    def __init__(self, what: str, seconds: float) -> None:
        self.what = what
        self.seconds = seconds
        self.at = time.monotonic() + seconds

    def tick(self, most: float | None = None) -> float:
        """Return how long the next system call may block (s), ``most`` at most: by default a tick.

        Raises ``WaitExpired`` when the wait is over.
        """
        left = self.at - time.monotonic()
        if left <= 0:
            raise WaitExpired(self.what, self.seconds)
        return min(left, TICK if most is None else most)


@contextmanager
def ticking(deadline: Deadline) -> Iterator[None]:
    """Interrupt blocking system calls now and then (EINTR): for those that know no timeout.

    An alarm just before the call would be missed, hence an interval and not one shot.
    """
    handler = signal.signal(signal.SIGALRM, lambda _number, _frame: None)
    timer = signal.setitimer(signal.ITIMER_REAL, deadline.tick(), TICK)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, handler)
