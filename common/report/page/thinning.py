"""How are millions of points drawn with a few thousand? So that the picture stays the same.

Of each of ``SPANS`` equal spans of time the first, last, lowest and highest point are kept: a line
through them covers the same pixels (M4; Jugel, Jerzak, Hackenbroich and Markl, VLDB 2014).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SPANS = 800


def kept(
    times: npt.NDArray[np.int64], values: npt.NDArray[np.float64], spans: int = SPANS
) -> npt.NDArray[np.int64]:
    """Return which points to draw, ascending: all of them when there are few. Times ascend."""
    if len(times) <= 4 * spans:
        return np.arange(len(times))
    cuts = borders(times, int(times[0]), int(times[-1]), spans)
    found: set[int] = set()
    for start, end in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
        if start < end:
            span = values[start:end]
            found |= {start, end - 1, start + int(span.argmin()), start + int(span.argmax())}
    return np.array(sorted(found), dtype=np.int64)


def borders(
    times: npt.NDArray[np.int64], start: int, end: int, spans: int
) -> npt.NDArray[np.int64]:
    """Return ``spans + 1`` places that cut ascending ``times`` into equal spans of time."""
    edges = np.linspace(start, end, spans + 1)[1:-1]
    return np.concatenate([[0], np.searchsorted(times, edges), [len(times)]])
