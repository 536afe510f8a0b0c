"""Which operations of two updates were left half done? One happened, and the other never did.

Both are begun before the first is written (``record.SECOND_HALF``), so whoever dies between them
leaves the second in flight. What the next holder undid or finished for the dead one is not half
done any more: its records carry the items of what they are about.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from common.history import record, scratch
from common.history.case import Case
from common.verdict.amounts import exact
from common.verdict.evidence import instance
from common.verdict.finding import Instance
from common.verdict.wording import number, past, signed


class Half(NamedTuple):
    """An operation whose ``first`` update was made and whose ``second`` was not (positions).

    ``row`` is the row of the second, ``units`` its signed amount in units of 2**-30, ``at`` when
    the first one was over (ns).
    """

    first: int
    second: int
    row: int
    units: int
    at: int


def half_done(case: Case, applied: Callable[[int], bool]) -> list[Half]:
    """Return what was left half done; ``applied`` tells of an update whether it happened."""
    history = case.history
    recovered = ended(case)
    found = []
    for which, process in enumerate(history.processes):
        second = history.bounds[which + 1] - 1
        first = second - 1
        if first < history.bounds[which] or not history.in_flight[second]:
            continue
        if process.records["kind"][-1] < record.SECOND_HALF:
            continue
        one, other = history.record(first), history.record(second)
        over = ("undo", one["item"]) in recovered or ("finish", other["item"]) in recovered
        amounts = exact(np.array([other["v0"]]))
        if over or amounts is None or not applied(first) or applied(second):
            continue
        units = int(amounts[0]) * history.operation(second).sign
        at = one["left"] or one["entered"]
        found.append(Half(first, second, other["object"], units, at))
    return found


def is_second(case: Case, position: int) -> bool:
    """Tell whether a record in flight is the second half of an operation."""
    process = case.history.process_at(position)
    kind = process.records["kind"][case.history.record(position)["seq"] - 1]
    return bool(case.history.in_flight[position] and kind >= record.SECOND_HALF)


def tell(case: Case, half: Half) -> Instance:
    """Say what was done, and what never was."""
    history = case.history
    one, other = history.record(half.first), history.record(half.second)
    who, here, there = case.process(half.first), case.place(half.first), case.place(half.second)
    done, missing = history.operation(half.first).name, history.operation(half.second).name
    change = signed(other["v0"] * history.operation(half.second).sign)
    unseen = case.plan.table is not None and case.plan.table.lock.kind == "none"
    never = "never happened" + (", or was written over before anybody saw it" if unseen else "")
    sentence = (
        f"{who} ended between the two halves of one operation: {number(one['v0'])} {here} were "
        f"{past(done)}, and the {missing} of {number(other['v0'])} {there} ({change}) that belongs "
        f"to it {never}; nobody undid the one or finished the other."
    )
    return instance(case, other["v0"], sentence, half.first, half.second)


def ended(case: Case) -> set[tuple[str, int]]:
    """Return what was undone and what was finished, as (``undo`` or ``finish``, item)."""
    history = case.history
    codes = [code for code, each in history.operations.items() if each.recovery]
    if not codes or not history.tallies[:, :, codes].any():
        return set()
    wanted = np.zeros(256, np.bool_)
    wanted[codes] = True
    found = (
        np.flatnonzero(wanted[history.codes[at]]) + at.start for at in scratch.parts(len(history))
    )
    return {
        (history.operation(at).recovery, history.record(at)["item"])
        for part in found
        for at in part.tolist()
    }
