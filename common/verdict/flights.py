"""Which updates in flight happened, when their process died? Those that explain a value seen.

What an update in flight read and wrote is not recorded, only its amount. It counts as done if it
alone explains a value that somebody saw; so do several that came one after the other, where every
process died in the middle of its update.
"""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import numpy.typing as npt

from common.history import scratch

Integers = npt.NDArray[np.int64]

# Several together are tried so often; each alone is always tried.
_TRIALS = 1_000_000


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
        chain, value = next(
            (
                (chain, value)
                for size in _sizes(len(waiting), len(strange))
                for chain in combinations(waiting, size)
                for value in sorted(strange)
                for start in (value - sum(delta for _, delta in chain),)
                if start in known or wrote(values, start)
            ),
            ((), 0),
        )
        if not chain:
            return found
        for position, delta in reversed(chain):
            found.append((position, value - delta, value))
            known.add(value)
            strange.discard(value)
            value -= delta
        waiting = [each for each in waiting if each not in chain]


def _sizes(waiting: int, strange: int) -> list[int]:
    """Return how many updates are tried together: few first, and not more than time allows."""
    sizes, trials = [1], 0
    for size in range(2, waiting + 1):
        trials += comb(waiting, size) * strange
        if trials > _TRIALS:
            break
        sizes.append(size)
    return sizes
