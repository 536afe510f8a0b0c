"""Which operations did a sibling overwrite? The others are lost with a parent, if at all.

Operations that read the same value are siblings. In time each of them is overwritten by the next;
one that survived counts as the last.
"""

from __future__ import annotations

import numpy as np

from common.history import scratch
from common.verdict.runs import Flags, Integers
from common.verdict.tree import UNKNOWN

BEFORE = np.iinfo(np.int64).min


def overwritten(parent: Integers, read: Integers, left: Integers, survived: Flags) -> Flags:
    """Tell for each operation whether a later sibling wrote over it.

    Siblings have the same ``parent``, and where that is unknown, the same value ``read``.
    """
    found: Flags = scratch.full(len(parent), 0, np.bool_)
    # Does a child survive? It came last. One place more, the last, is for the root.
    kept: Flags = scratch.full(len(parent) + 1, 0, np.bool_)
    for at in scratch.parts(len(parent)):
        kept[parent[at][survived[at] & (parent[at] != UNKNOWN)]] = True
    rest = scratch.Growing(np.int64)
    for at in scratch.parts(len(parent)):
        lost = np.flatnonzero(~survived[at] & (parent[at] != UNKNOWN))
        sure = kept[parent[at][lost]]
        found[at][lost[sure]] = True
        rest.append(lost[~sure] + at.start)
    _lost_together(rest.array(), parent, left, found)
    _strangers(parent, read, left, found)
    return found


def _lost_together(rest: Integers, parent: Integers, left: Integers, found: Flags) -> None:
    """Mark all but the last among those of which no sibling survived."""
    if not len(rest):
        return
    latest: Integers = scratch.full(len(parent) + 1, BEFORE)
    last: Integers = scratch.empty(len(parent) + 1, np.int64)
    for at in scratch.parts(len(rest)):
        np.maximum.at(latest, parent[rest[at]], left[rest[at]])
    for at in scratch.parts(len(rest)):
        ends = rest[at][left[rest[at]] == latest[parent[rest[at]]]]
        # Of equal stamps the last one counts.
        last[parent[ends]] = ends
    for at in scratch.parts(len(rest)):
        found[rest[at]] = last[parent[rest[at]]] != rest[at]


def _strangers(parent: Integers, read: Integers, left: Integers, found: Flags) -> None:
    """Mark all but the last of each value among those that read what nobody wrote."""
    strange = scratch.join(
        (np.flatnonzero(parent[at] == UNKNOWN) + at.start for at in scratch.parts(len(parent))),
        np.int64,
    )
    order = strange[np.lexsort((left[strange], read[strange]))]
    found[order[:-1][read[order[1:]] == read[order[:-1]]]] = True
