"""How are sums of amounts exact? As integers in units of 2**-30."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from common.history import scratch

UNIT = 1 << 30

# Beyond this an integer of 2**-30 no longer fits (and a double no longer holds such a fraction).
LARGEST = float(1 << 32)

Integers = npt.NDArray[np.int64]


def exact(values: npt.NDArray[Any]) -> Integers | None:
    """Return ``values`` in units of 2**-30; None when one is not an exact multiple of it."""
    if len(values) and not (values.max() < LARGEST and values.min() > -LARGEST):
        return None
    scaled = values * UNIT
    integers = scaled.astype(np.int64)
    return integers if bool((integers == scaled).all()) else None


def total(values: Integers) -> int:
    """Return the exact sum: in units, four amounts of 3e9 are more than 64 bits hold."""
    return sum_of(values[at] for at in scratch.parts(len(values)))


def sum_of(parts: Iterable[Integers]) -> int:
    """Return the exact sum of values that come in parts, each of bounded length."""
    return sum((int((part >> 32).sum()) << 32) + int((part & 0xFFFFFFFF).sum()) for part in parts)
