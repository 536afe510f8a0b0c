"""The step: one named point inside an operation, and what a process does when it reaches it.

Role code marks the points that matter (``check``, ``read``, ``write`` …) by calling the hook. It
is None when nobody asked for anything, so that an unused step costs one test. Every use of a step
is a hook built here; several are called in turn.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping

from common.kernel.touch import At, Touch

Action = Callable[[], None]


def delay_action(delay: Mapping[str, int], source: random.Random) -> Action:
    """Return what one declared delay does.

    ``sleep_us`` sleeps, ``jitter_us`` sleeps up to so much longer (drawn from the process's
    seed), ``yields`` gives the processor away so many times, ``spin_us`` keeps it busy.
    Microseconds. Delays widen the window of a race; they never replace synchronisation.
    """
    sleep = delay.get("sleep_us", 0) * 1e-6
    jitter = delay.get("jitter_us", 0) * 1e-6
    yields = delay.get("yields", 0)
    spin_ns = delay.get("spin_us", 0) * 1000

    def act() -> None:
        if sleep or jitter:
            # The declared delay itself: what is studied is what others do meanwhile.
            time.sleep(sleep + source.random() * jitter)
        for _ in range(yields):
            os.sched_yield()
        if spin_ns:
            end = time.monotonic_ns() + spin_ns
            while time.monotonic_ns() < end:
                pass

    return act


def hook(delays: Mapping[str, Mapping[str, int]], source: random.Random) -> At | None:
    """Return the step hook of a process, or None when no step of it has anything to do."""
    if not delays:
        return None
    actions = {step: delay_action(delay, source) for step, delay in delays.items()}

    def at(step: str, _touch: Touch | None = None, /) -> None:
        action = actions.get(step)
        if action is not None:
            action()

    return at
