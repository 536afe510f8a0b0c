"""Where did one update follow another, undisturbed? Runs in the order of time.

Most updates read what the one before them in time wrote. A run is a stretch in which all do; who
walks from write to write passes it in one step.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from common.history import scratch
from common.history.order import windows

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class Runs:
    """``order`` has the operations in the order of time, ``rank`` says where in it each is.

    ``start`` says for each place of that order where its run begins. ``follows`` tells of
    operations and those before them which of them continue a run; the very first one does not.
    """

    def __init__(
        self,
        times: Integers,
        bounds: list[int],
        follows: Callable[[Integers, Integers], Flags],
    ) -> None:
        self.order: Integers = scratch.empty(len(times), np.int64)
        self.rank: Integers = scratch.empty(len(times), np.int64)
        self.start: Integers = scratch.empty(len(times), np.int64)
        begin, start = 0, 0
        for order in windows(times, bounds):
            end = begin + len(order)
            place = np.arange(begin, end)
            self.order[begin:end] = order
            self.rank[order] = place
            # The first of all has no other before it than itself.
            before = np.concatenate([self.order[max(begin - 1, 0) :][:1], order[:-1]])
            continues = follows(order, before)
            continues[:1] &= begin > 0
            place[continues] = start
            np.maximum.accumulate(place, out=place)
            self.start[begin:end] = place
            begin, start = end, int(place[-1])
