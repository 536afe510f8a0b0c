"""Which calls were made on each row of the table? And how records are read as calls.

A row is two objects, its stock and its rates: no operation changes both.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from common.history.case import Case
from common.history.merge import Positions
from common.history.operations import Effect
from common.verdict.placement import Call
from common.verdict.sequential import (
    NEVER,
    Look,
    Rates,
    Refusal,
    Setting,
    Specification,
    Stock,
    Unseen,
    Update,
)


class Object(NamedTuple):
    """One object by its name, what it promises, and the calls of each process in its order."""

    name: str
    specification: Specification
    threads: list[list[Call]]

    @property
    def calls(self) -> int:
        """How many calls on it were recorded."""
        return sum(call.position >= 0 for calls in self.threads for call in calls)


class Seen(NamedTuple):
    """What a record holds beside its times."""

    sign: int
    item: int
    v0: float
    v1: float
    v2: float
    v3: float
    v4: float


def rows(case: Case) -> Iterator[Object]:
    """Yield the stock and the rates of each row."""
    finals = case.outcome.final or []
    for row, opening in enumerate(case.outcome.initial or []):
        ending = finals[row] if row < len(finals) else None
        looks = at(case, row, Effect.SNAPSHOT)
        stock = [
            *recorded(case, at(case, row, Effect.UPDATE), _update),
            *recorded(case, at(case, row, Effect.UPDATE, done=False), _unseen),
            *recorded(case, _refused_sales(case, row), lambda seen: Refusal(seen.v0, seen.v1)),
            *recorded(case, looks, lambda seen: Look(seen.v2)),
        ]
        rates = [
            *recorded(case, at(case, row, Effect.SET), lambda seen: Setting(seen.v0, seen.v1)),
            *recorded(
                case, at(case, row, Effect.SET, done=False), lambda seen: Setting(seen.v0, None)
            ),
            *recorded(case, looks, lambda seen: Look((seen.v0, seen.v1))),
        ]
        name = case.row(row)
        yield Object(
            f"the stock of {name}",
            Stock(opening[-1], None if ending is None else ending[-1]),
            by_process(case, stock),
        )
        yield Object(
            f"the rates of {name}",
            Rates((opening[0], opening[1]), None if ending is None else (ending[0], ending[1])),
            by_process(case, rates),
        )


def _update(seen: Seen) -> Update:
    return Update(seen.sign * seen.v0, seen.v3, seen.v4)


def _unseen(seen: Seen) -> Unseen:
    return Unseen(seen.sign * seen.v0)


def _refused_sales(case: Case, row: int) -> Positions:
    """Return the sales that their check turned down; a purchase is refused without the stock."""
    history = case.history
    sales = [code for code, operation in history.operations.items() if operation.sign < 0]
    refused = history.refused & (history.objects == row) & np.isin(history.codes, sales)
    found: Positions = np.flatnonzero(refused)
    ended: Positions = found[history.gather("left", found) != 0]
    return ended


def at(case: Case, place: int, *effects: Effect, done: bool = True) -> Positions:
    """Return the records with one of ``effects`` on one row or channel."""
    found = case.history.select(*effects, done=done)
    here: Positions = found[case.history.objects[found] == place]
    return here


def recorded(case: Case, positions: Positions, act: Callable[[Seen], Any]) -> list[Call]:
    """Return the calls recorded at ``positions``; those without an end need not have happened."""
    gather = case.history.gather
    signs = (case.history.operation(position).sign for position in positions.tolist())
    names = ("item", "v0", "v1", "v2", "v3", "v4")
    values = zip(*(gather(name, positions).tolist() for name in names), strict=True)
    asked, left = (gather(name, positions).tolist() for name in ("asked", "left"))
    return [
        # A clock that went wrong must not rule out the operation altogether.
        Call(min(begin, end or NEVER), end or NEVER, act(Seen(sign, *seen)), position)
        for begin, end, sign, seen, position in zip(
            asked, left, signs, values, positions.tolist(), strict=True
        )
    ]


def process_of(case: Case, call: Call) -> int:
    """Return which process made a call, by its place in ``history.processes``."""
    return bisect_right(case.history.bounds, call.position) - 1


def by_process(case: Case, calls: list[Call]) -> list[list[Call]]:
    """Return the calls of each process in its order, and by itself each that may be missing."""
    threads: dict[int, list[Call]] = {}
    for call in sorted(calls, key=lambda each: each.position):
        key = process_of(case, call) if call.end != NEVER else -1 - call.position
        threads.setdefault(key, []).append(call)
    return list(threads.values())
