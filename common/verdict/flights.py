"""Which updates in flight happened, when their process died? Those that explain a value seen.

What an update in flight read and wrote is not recorded, only its amount. It counts as done if it
alone explains a value that somebody saw.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from common.history import scratch

Integers = npt.NDArray[np.int64]


def wrote(values: Integers, value: int) -> bool:
    """Tell whether ``value`` is among ``values``, which ascend."""
    at = int(np.searchsorted(values, value))
    return at < len(values) and int(values[at]) == value


def unexplained(values: Integers, read: Integers, root: int) -> Integers:
    """Return the operations that read neither ``root`` nor one of ``values``, which ascend."""
    found = scratch.Growing(np.int64)
    for at in scratch.parts(len(read)):
        seen = read[at]
        strange = seen != root
        if len(values):
            place = scratch.places(values, seen)
            np.minimum(place, len(values) - 1, out=place)
            strange &= values[place] != seen
        found.append(np.flatnonzero(strange) + at.start)
    return found.array()


def applied(
    waiting: list[tuple[int, int]], values: Integers, read: Integers, root: int, last: int
) -> list[tuple[int, int, int]]:
    """Return which updates in flight happened: position, value read and value written.

    ``waiting`` are their positions and signed amounts, ``values`` what was written, in order,
    ``read`` what was read, and ``last`` what the row held in the end.
    """
    found: list[tuple[int, int, int]] = []
    if not waiting:
        return found
    known = {root}
    strange = set(read[unexplained(values, read, root)].tolist())
    if last != root and not wrote(values, last):
        strange.add(last)
    while True:
        happened = next(
            (
                (position, value - delta, value)
                for position, delta in waiting
                for value in sorted(strange)
                if value - delta in known or wrote(values, value - delta)
            ),
            None,
        )
        if happened is None:
            return found
        found.append(happened)
        known.add(happened[2])
        strange.discard(happened[2])
        waiting = [each for each in waiting if each[0] != happened[0]]
