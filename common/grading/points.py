"""How many points an item is worth, from what was seen."""

from __future__ import annotations

from common.grading.judging import Seen
from common.grading.reading import Item
from common.grading.shapes import FAILURES

# Points are told to so many digits: a third of a point is 0.3333.
DIGITS = 4


def points(item: Item, seen: Seen) -> float:
    """Return the points of ``item``: what its share of harm and its failures leave, at least 0."""
    lost = seen.lost * item.points
    for name, kind in FAILURES.items():
        if kind in seen.failures:
            # Each failure once, in however many schedules it was seen.
            lost += item.costs.get(name, item.points)
    return round(max(0.0, item.points - lost), DIGITS)


def figure(value: float) -> str:
    """Return points for people: no needless zeros."""
    return f"{round(value, DIGITS):g}"
