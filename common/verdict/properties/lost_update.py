"""Every update of a row survives: none is overwritten by one that had read the same value.

Each value of a row names the operation that wrote it, so operations form a tree rooted at the
opening stock. The path from the final stock back to the root survived; every other update was
lost, and the lost amounts add up to the missing stock exactly (:mod:`common.verdict.lineage`).

So was the second update of an operation whose process died after the first one: it never happened
(:mod:`common.verdict.halves`), and what it should have added is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from common.history import scratch, sections
from common.history.case import Case
from common.history.operations import Effect
from common.history.sections import Sections
from common.verdict import sheet, unseen
from common.verdict.evidence import Result, finding, instance
from common.verdict.finding import Instance
from common.verdict.halves import Half, ended, half_done, tell
from common.verdict.lineage import UNIT, Lineage, trace_sections
from common.verdict.runs import Integers
from common.verdict.wording import many, number, past, signed, span, were


def check(case: Case) -> Result:
    """Return the lost updates of all rows; ``total`` is the sum of their absolute amounts.

    The measures hold, by row, the exact signed ``missing`` stock and ``lost`` amounts, and
    ``lost_updates``, their number, and ``unacknowledged``, how many operations happened whose
    process died before it said so.
    """
    if unseen.on_table(case.plan):
        return sheet.judge(case)
    result = Result(measures={"missing": {}, "lost": {}, "lost_updates": 0})
    updates = sections.of(case.history, Effect.UPDATE)
    flying = case.history.by_object(Effect.UPDATE, done=False)
    rows = case.outcome.initial or []
    finals = case.outcome.final or []
    if (len(updates) or rows) and len(rows) != len(finals):
        result.doubts.append("the table's last contents are unknown: nothing says what was lost")
        return result
    nothing = np.empty(0, np.int64)
    outside = [each for number, each in updates.items() if number >= len(rows)]
    if outside:
        position = min(int(each.positions[0]) for each in outside)
        result.doubts.append(
            f"{many(sum(map(len, outside)), 'update')} changed a row that the table does not have; "
            f"the first is number {case.history.record(position)['seq']} of "
            f"{case.process(position)}, of {case.place(position)}"
        )
    lineages: dict[int, Lineage] = {}
    for row, (initial, final) in enumerate(zip(rows, finals, strict=True)):
        name = case.row(row)
        lineage = trace_sections(
            updates.get(row, Sections(case.history, nothing)),
            flying.get(row, nothing),
            # The stock is a row's last field.
            initial[-1],
            final[-1],
        )
        result.doubts.extend(f"{name}: {doubt}" for doubt in _doubts(case, lineage))
        if lineage.missing is not None:
            result.measures["missing"][name] = lineage.missing / UNIT
        if lineage.lost is not None:
            result.measures["lost"][name] = lineage.lost_sum() / UNIT
        lineages[row] = lineage

    def applied(position: int) -> bool:
        here = lineages.get(int(case.history.objects[position]))
        return here is not None and position in here.positions

    result.measures["unacknowledged"] = len(_unacknowledged(case, applied))
    halves = [
        half
        for half in half_done(case, applied)
        if half.row in lineages and lineages[half.row].lost is not None
    ]
    for half in halves:
        for figure in ("missing", "lost"):
            result.measures[figure][case.row(half.row)] += half.units / UNIT
    traced = [each for each in lineages.values() if each.lost is not None and len(each.lost)]
    if traced or halves:
        _report(case, traced, halves, result)
    return result


def _unacknowledged(case: Case, applied: Callable[[int], bool]) -> set[int]:
    """Return the processes, by index, whose last operation happened though it has no end.

    Not one that was undone; one that was finished in its place, too.
    """
    recovered = ended(case)
    found = {item >> 32 for action, item in recovered if action == "finish"}
    for position in case.history.select(Effect.UPDATE, done=False).tolist():
        item = case.history.record(position)["item"]
        # Of two halves the first one names them both.
        if applied(position) and not {("undo", item), ("undo", item - 1)} & recovered:
            found.add(case.history.process_at(position).index)
    return found


def _doubts(case: Case, lineage: Lineage) -> list[str]:
    doubts = list(lineage.doubts)
    for position in lineage.wrong[:1].tolist():
        doubts.append(
            f"{many(len(lineage.wrong), 'update')} wrote something other than the value read plus "
            f"the amount; the first is number {case.history.record(position)['seq']} of "
            f"{case.process(position)}"
        )
    for position in lineage.strange[:1].tolist():
        value = number(case.history.record(position)["v3"])
        doubts.append(
            f"the value {value} that {case.process(position)} read was written by no recorded "
            f"operation: {lineage.suspect}"
        )
    return doubts


def _report(case: Case, traced: list[Lineage], halves: list[Half], result: Result) -> None:
    count = sum(len(lineage.lost) for lineage in traced if lineage.lost is not None) + len(halves)
    units = sum(lineage.lost_sum(absolute=True) for lineage in traced)
    units += sum(abs(half.units) for half in halves)
    chosen = [_extremes(case, lineage) for lineage in traced]
    told = ((half.at, abs(half.units), partial(tell, case, half)) for half in halves)
    chosen += [(each, each, each) for each in told]
    first = min((extremes[0] for extremes in chosen), key=lambda each: each[0])
    worst = max((extremes[1] for extremes in chosen), key=lambda each: (each[1], -each[0]))
    last = max((extremes[2] for extremes in chosen), key=lambda each: each[0])
    cases = [tell_it() for _, _, tell_it in (first, worst, last)]
    updates = sum(len(lineage.positions) for lineage in traced) or len(case.history)
    missing = ", ".join(
        f"{number(abs(value))} {name} too {'few' if value > 0 else 'many'}"
        for name, value in result.measures["lost"].items()
        if value
    )
    lead = (
        f"{many(count, 'update')} of {updates:,} {were(count)} lost; "
        f"in stock: {missing or 'no change'}."
    )
    result.findings.append(finding("lost_update", count, units / UNIT, cases, lead))
    result.measures["lost_updates"] = count


RESOLUTION = 100  # ns

_Extreme = tuple[int, int, Callable[[], Instance]]


def _extremes(case: Case, lineage: Lineage) -> tuple[_Extreme, _Extreme, _Extreme]:
    """Return the first, worst and last lost operation: its time, its amount, and who tells it."""
    lost = lineage.lost
    assert lost is not None
    # The first to be told is one that two operations explain, if there is one.
    direct = scratch.join(
        (lost[at][lineage.followed[lost[at]]] for at in scratch.parts(len(lost))), np.int64
    )
    picked = (
        _greatest(direct if len(direct) else lost, lambda some: -lineage.left[some]),
        _greatest(lost, lambda some: abs(lineage.delta[some])),
        _greatest(lost, lambda some: lineage.left[some]),
    )
    first, worst, last = (
        (
            int(lineage.left[op]),
            abs(int(lineage.delta[op])),
            partial(_instance, case, lineage, op),
        )
        for op in picked
    )
    return first, worst, last


def _greatest(operations: Integers, key: Callable[[Integers], Integers]) -> int:
    """Return the first of ``operations`` with the greatest ``key``."""
    found: list[tuple[int, int]] = []
    for at in scratch.parts(len(operations)):
        keys = key(operations[at])
        best = int(np.argmax(keys))
        found.append((int(keys[best]), int(operations[at][best])))
    return max(found, key=lambda each: each[0])[1]


def _instance(case: Case, lineage: Lineage, lost: int) -> Instance:
    """Tell how one update was lost: what carried it, and which write went over that."""
    position = int(lineage.positions[lost])
    found = case.history.record(position)
    who, row = case.process(position), case.place(position)
    amount = int(lineage.delta[lost]) / UNIT
    story = (
        f"{who} read {number(found['v3'])} {row} and wrote {number(found['v4'])} ({signed(amount)})"
    )
    goods = f"{number(abs(amount))} {row} {past(case.history.operation(position).name)} by {who}"
    end = f"{goods} {'are gone' if amount > 0 else 'are still in stock'}."
    carrier, over = lineage.overwriter(lost)
    if over is None:
        return instance(
            case, abs(amount), f"{story}; another value then took its place: {end}", position
        )
    carrying, writing = int(lineage.positions[carrier]), int(lineage.positions[over])
    before, after = case.history.record(carrying), case.history.record(writing)
    writer, victim = case.process(writing), case.process(carrying)
    later = _later(before, after)
    written, read = number(after["v4"]), number(after["v3"])
    if carrying == position:
        sentence = f"{story}; {writer}, who had also read {read}, wrote {written} {later}"
        return instance(case, abs(amount), f"{sentence}: {end}", position, writing)
    author = "it had itself" if victim == who else f"{victim} had"
    sentence = (
        f"{story}, on top of the {number(before['v4'])} that {author} written after it read "
        f"{number(before['v3'])}; {writer}, who had also read {read}, wrote {written} {later}"
    )
    return instance(case, abs(amount), f"{sentence}: {end}", position, carrying, writing)


def _later(before: dict[str, Any], after: dict[str, Any]) -> str:
    ns = after["left"] - before["left"]
    if ns >= RESOLUTION:
        return f"over it {span(ns)} later"
    # Two stamps of two processes tell no more than this apart: which write came last shows only in
    # what was read afterwards.
    return "at about the same time, and that is what the others went on from"
