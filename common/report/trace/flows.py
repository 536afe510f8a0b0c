"""What led from one process to another? Messages, and writes that went over a lost update."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from common.history.case import Case
from common.history.merge import History, Positions
from common.history.operations import Effect
from common.report.trace.slices import CHUNK, Tracks
from common.verdict.lineage import Lineage, trace

MESSAGE, OVERWRITTEN = "message", "overwritten"

# A track, and a time in ns since the gate.
End = tuple[int, int]


@dataclass(frozen=True)
class Pairs:
    """Operations that belong together: ``targets[n]`` follows from ``sources[n]``.

    What links them came about no sooner than ``since[n]`` (ns, CLOCK_MONOTONIC).
    """

    sources: Positions
    targets: Positions
    since: npt.NDArray[np.int64]


def messages(history: History) -> list[Pairs]:
    """Return each take with what placed the item there, and each answer with what was taken."""
    placed, takes = history.select(Effect.OFFER, Effect.PASS), history.select(Effect.TAKE)
    # Who answers a client records no sending: its answer follows from the order that it took.
    through = [code for code, each in history.operations.items() if each.place == "channel"]
    answers = history.select(Effect.DELIVER)
    answers = answers[np.isin(history.codes[answers], through)]
    return [
        _with(history, "entered", *matched(history, placed, takes, same_place=True)),
        _with(history, "left", *matched(history, takes, answers, same_place=False)),
    ]


def _with(history: History, stamp: str, sources: Positions, targets: Positions) -> Pairs:
    order = np.argsort(sources, kind="stable")
    sources, targets = sources[order], targets[order]
    return Pairs(sources, targets, history.gather(stamp, sources))


def matched(
    history: History, sources: Positions, targets: Positions, *, same_place: bool
) -> tuple[Positions, Positions]:
    """Match the first target of an item with its first source, the second with the second.

    Both ascend, what is returned does not. A target that has no more source of its own gets the
    last that was entered before it left: an item may be placed once and taken twice.
    """
    items = np.concatenate([history.gather("item", each) for each in (sources, targets)])
    both = np.concatenate([sources, targets])
    # An item is below 2**53: it is a double.
    places = history.objects[both] if same_place else np.zeros(len(both), np.uint8)
    keys = (items << np.uint64(8)) | places
    times = np.concatenate([history.gather("entered", sources), history.gather("left", targets)])
    taking = np.arange(len(both)) >= len(sources)
    order = np.lexsort((taking, times, keys))
    keys, taking, both, items = keys[order], taking[order], both[order], items[order]
    given, taken = np.cumsum(~taking), np.cumsum(taking)
    # Where the records of each item begin, and how many sources and targets stand before them.
    opens = np.diff(keys, prepend=keys[:1] ^ np.uint64(1)) != 0
    first = np.maximum.accumulate(np.where(opens, np.arange(len(both)), 0))
    before: Positions = given[first] - ~taking[first]
    earlier: Positions = taken[first] - taking[first]
    nth = np.minimum(taken - earlier, given - before)
    found = taking & (nth > 0) & (items != 0)
    return both[~taking][(before + nth - 1)[found]], both[found]


def lineages(case: Case) -> list[Lineage]:
    """Return the value tree of each row of the table."""
    history = case.history
    rows, finals = case.outcome.initial or [], case.outcome.final or []
    if len(rows) != len(finals):
        return []
    updates = history.select(Effect.UPDATE)
    flying = history.select(Effect.UPDATE, done=False)
    return [
        trace(
            history,
            updates[history.objects[updates] == row],
            flying[history.objects[flying] == row],
            initial[-1],
            final[-1],
        )
        for row, (initial, final) in enumerate(zip(rows, finals, strict=True))
    ]


def overwritten(history: History, lineage: Lineage) -> Pairs:
    """Return each update that was written over, and the one that had read the same and did it.

    Of several that read one value the next to leave did it; one that survived counts as the last.
    """
    if lineage.lost is None or not len(lineage.lost):
        return _with(history, "entered", lineage.positions[:0], lineage.positions[:0])
    survived = np.ones(len(lineage.parent), dtype=bool)
    survived[lineage.lost] = False
    order = np.lexsort((lineage.left, survived, lineage.read, lineage.parent))
    same = lineage.parent[order[1:]] == lineage.parent[order[:-1]]
    same &= lineage.read[order[1:]] == lineage.read[order[:-1]]
    lost, over = (lineage.positions[each[same]] for each in (order[:-1], order[1:]))
    pairs = _with(history, "entered", lost, over)
    # Where one is written over that had itself written over another, the last write came later.
    known = dict(zip(pairs.sources.tolist(), pairs.since.tolist(), strict=True))
    since: dict[int, int] = {}
    for source, target in zip(lost.tolist(), over.tolist(), strict=True):
        since[target] = max(known[source], since.get(source, 0))
    return replace(
        pairs, since=np.array([since[each] for each in pairs.targets.tolist()], np.int64)
    )


def ends(tracks: Tracks, numbers: npt.NDArray[np.int64], pairs: Pairs) -> Iterator[tuple[End, End]]:
    """Yield where the arrows of all pairs that are shown begin and end.

    An arrow ends in the last nanosecond of its target and begins before that, at the end of its
    source if it can: a sender's stamp may be later than its receiver's. ``numbers`` are the tracks
    of the processes.
    """
    bounds = tracks.case.history.bounds
    for start in range(0, len(pairs.sources), CHUNK):
        sources, targets = (each[start : start + CHUNK] for each in (pairs.sources, pairs.targets))
        later = tracks.ends[targets] - 1
        sooner = np.minimum(tracks.ends[sources], later) - 1
        # What is not shown ends at 0: nothing begins before that.
        shown = sooner >= tracks.begins[sources]
        tails, heads = (
            zip(
                numbers[np.searchsorted(bounds, positions[shown], side="right") - 1].tolist(),
                times[shown].tolist(),
                strict=True,
            )
            for positions, times in ((sources, sooner), (targets, later))
        )
        yield from zip(tails, heads, strict=True)
