"""Which operation wrote the value that each operation read? The tree of a row's values.

All arithmetic is in integers of 2**-30, so that sums are exact. An operation is a number from 0
in its row; its parent is the operation whose written value it read, ``ROOT`` for the opening
stock, ``UNKNOWN`` for a value that no recorded operation wrote.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from common.history import scratch
from common.history.merge import History, Positions
from common.history.order import Order, windows
from common.history.sections import Sections
from common.verdict.amounts import UNIT, exact, sum_of, total
from common.verdict.flights import applied, unexplained, wrote
from common.verdict.runs import Integers
from common.verdict.trail import find_trail
from common.verdict.tree import UNKNOWN, Tree
from common.verdict.updates import Lineage

__all__ = ["NEVER", "UNIT", "Lineage", "exact", "total", "trace"]

NEVER = np.iinfo(np.int64).max


def trace(
    history: History, done: Positions, flying: Positions, initial: float, final: float
) -> Lineage:
    """Return the lineage of one row's updates.

    ``done`` are the positions of its finished updates, ``flying`` of those in flight when their
    process died: one of these counts as applied if it alone explains a value that somebody saw.
    """
    return trace_sections(Sections(history, done), flying, initial, final)


def trace_sections(updates: Sections, flying: Positions, initial: float, final: float) -> Lineage:
    """Return the same of finished ``updates``, whose cells and order may be known already."""
    history, done = updates.history, updates.positions
    signs = np.zeros(256, dtype=np.int64)
    for code, operation in history.operations.items():
        signs[code] = operation.sign
    ends = exact(np.array([initial, final]))
    values = _values(updates, signs)
    nothing = np.empty(0, np.int64)
    lineage = Lineage(done, nothing, nothing, nothing, nothing)
    if ends is None or values is None:
        lineage.doubts.append(
            "a value is not a multiple of 2**-30 (or not finite): sums are not exact, and nothing "
            "can be said about lost updates"
        )
        return lineage
    read, written, delta = values
    root, last = ends.tolist()
    if not len(done) and not len(flying):
        lineage.missing = root - last
        if lineage.missing:
            lineage.doubts.append("the stock changed, and no recorded operation changed it")
        else:
            lineage.lost = nothing
        return lineage
    parts = list(scratch.parts(len(done)))
    lineage.delta = delta
    lineage.wrong = scratch.join(
        (done[at][written[at] - read[at] != delta[at]] for at in parts), np.int64
    )
    if _in_step(updates, read, written, root, last):
        lineage.lost = nothing
        lineage.missing = root + total(delta) - last
        return lineage
    lineage.read = read
    amounts = exact(history.gather("v0", flying))
    waiting = [] if amounts is None else (amounts * signs[history.codes[flying]]).tolist()
    flown = [] if amounts is None else list(zip(flying.tolist(), waiting, strict=True))
    _settle(updates, lineage, written, flown, root, last)
    return lineage


def _values(updates: Sections, signs: Integers) -> tuple[Integers, Integers, Integers] | None:
    """Return what each update read, wrote and changed; None when a value is not exact."""
    found = []
    for name in ("v3", "v4", "v0"):
        column, growing = updates.column(name), scratch.Growing(np.int64)
        for at in scratch.parts(len(updates)):
            values = exact(column[at])
            if values is None:
                return None
            if name == "v0":
                values *= signs[updates.history.codes[updates.positions[at]]]
            growing.append(values)
        found.append(growing.array())
    read, written, delta = found
    return read, written, delta


def _in_step(updates: Sections, read: Integers, written: Integers, root: int, last: int) -> bool:
    """Tell whether each update read what the one stamped before it wrote: then none was lost.

    Disjoint sections lie in the order of both stamps; of those that overlap, either may be the
    true one.
    """
    # Then all but the ends cancel out, which is quickly seen.
    changes = (written[at] - read[at] for at in scratch.parts(len(updates)))
    if not len(updates) or sum_of(changes) != last - root:
        return False
    for orders in _orders(updates):
        value = root
        for order in orders:
            wrote_here = written[order]
            if int(read[order[0]]) != value or (read[order[1:]] != wrote_here[:-1]).any():
                break
            value = int(wrote_here[-1])
        else:
            if value == last:
                return True
    return False


def _orders(updates: Sections) -> Iterator[Iterable[Order]]:
    yield updates.in_turn
    yield windows(updates.column("left"), updates.bounds)


def _settle(
    updates: Sections,
    lineage: Lineage,
    written: Integers,
    flying: list[tuple[int, int]],
    root: int,
    last: int,
) -> None:
    """Find what became of every operation; ``flying`` are positions and signed amounts."""
    left, bounds = updates.column("left"), list(updates.bounds)
    values = _ascending(written)
    flown = applied(flying, values, lineage.read, root, last)
    lineage.suspect = _suspect(updates.history, {each for each, _ in flying}, flown)
    if flown:
        positions, reads, writes = np.array(flown, np.int64).T
        # Each counts as a process of its own: its stamp is later than any other.
        bounds += range(len(updates) + 1, len(updates) + len(flown) + 1)
        left = scratch.join((left, np.full(len(flown), NEVER)), np.int64)
        written = scratch.join((written, writes), np.int64)
        values = _ascending(written)
        lineage.positions = scratch.join((updates.positions, positions), np.int64)
        lineage.read = scratch.join((lineage.read, reads), np.int64)
        lineage.delta = scratch.join((lineage.delta, writes - reads), np.int64)
    read, lineage.left = lineage.read, left
    # Where a value was written more than once, only time can tell who wrote what was read.
    repeats = wrote(values, root) or _repeat(values)
    possible = True
    if repeats:
        strange = unexplained(values, read, root)
        stamps = [updates.history.record(position)["entered"] for position, _, _ in flown]
        entered = scratch.join((updates.column("entered"), np.array(stamps)), np.int64)
        survivors, lineage.parent, possible = find_trail(
            read, written, entered, left, bounds, root, last
        )
    else:
        tree = Tree(read, written, left, bounds, root)
        survivors, lineage.parent = tree.path(root, last), tree.parent
        strange = _where(lineage.parent, UNKNOWN)
    lineage.missing = root + total(lineage.delta) - last
    lineage.strange = lineage.positions[strange]
    if survivors is None:
        if not len(strange):
            lineage.doubts.append(
                "no order of the recorded operations leads from the opening stock to the "
                f"final one: {lineage.suspect}"
            )
        return
    lineage.lost = _where(survivors, False)
    serial = repeats and _serial(read, written, root, last)
    if not possible or (serial and len(lineage.lost)):
        lineage.doubts.append("equal values: it cannot be told which update survived")
        if serial:
            lineage.lost = lineage.lost[:0]
    if lineage.lost_sum() != lineage.missing:
        lineage.doubts.append("the lost amounts do not add up to the missing stock")


def _suspect(history: History, flying: set[int], flown: list[tuple[int, int, int]]) -> str:
    """Return who may have written a value that no update explains, whole or in flight."""
    dead = sorted(flying - {position for position, _, _ in flown})
    if not dead:
        return "another program writes to this row"
    who = " or ".join(dict.fromkeys(history.process_at(position).name for position in dead))
    return f"{who} may have written it, in the middle of an update, or another program"


def _ascending(values: Integers) -> Integers:
    """Return a sorted copy."""
    ordered: Integers = scratch.join((values,), np.int64)
    ordered.sort()
    return ordered


def _repeat(values: Integers) -> bool:
    """Tell whether two of ``values``, which ascend, are equal."""
    return any(
        (values[at.start + 1 : at.stop + 1] == values[at][: len(values) - 1 - at.start]).any()
        for at in scratch.parts(len(values))
    )


def _serial(read: Integers, written: Integers, root: int, last: int) -> bool:
    """Tell whether the values alone allow an order in which every update survives.

    There each value is read as often as it was written; the last one is read by the launcher.
    """
    taken = _ascending(scratch.join((read, np.array([last])), np.int64))
    given = _ascending(scratch.join((written, np.array([root])), np.int64))
    return all((taken[at] == given[at]).all() for at in scratch.parts(len(taken)))


def _where(values: npt.NDArray[Any], wanted: int) -> Integers:
    """Return the places of ``values`` that hold ``wanted``."""
    parts = scratch.parts(len(values))
    return scratch.join((np.flatnonzero(values[at] == wanted) + at.start for at in parts), np.int64)
