"""What does each operation do to an object that it has to itself? The sequential specifications.

A state is hashable; an *act* is what an operation did and saw. A sequence of acts is right if each
is allowed in the state that the ones before it left, and the run may have ended in the last one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

from common.verdict.wording import number

# Later than all stamps: the end of what may not have happened at all.
NEVER = 1 << 63


class Specification(Protocol):
    """One object: its first state, which acts are allowed and what they lead to, how it may end."""

    opening: Any

    def after(self, state: Any, act: Any) -> Iterable[Any]:
        """Return the states that ``act`` may lead to from ``state``; none if it is not allowed."""

    def may_end(self, state: Any) -> bool:
        """Tell whether the run may have ended in ``state``."""

    def objection(self, state: Any, act: Any) -> str:
        """Say why ``act`` is not allowed in ``state``; an act of None is the end of the run."""


class Update(NamedTuple):
    """A stock was read, changed by a signed amount, and written."""

    amount: float
    read: float
    written: float


class Refusal(NamedTuple):
    """A sale was turned down at the stock that it saw."""

    amount: float
    seen: float


class Look(NamedTuple):
    """A stock, or a pair of rates, was read."""

    seen: Any


class Unseen(NamedTuple):
    """An update by a signed amount whose process died: nobody wrote down what it read."""

    amount: float


class Stock:
    """The stock of a row: a register with read-modify-write. Nobody takes what is not there.

    What the check of a sale saw is its own business: what counts is at which stock it passed.
    """

    def __init__(self, opening: float, ending: float | None) -> None:
        self.opening = opening
        self.ending = ending

    def after(self, state: float, act: Any) -> Iterable[float]:
        """Return the stock that is left."""
        match act:
            case Update(amount, read, written):
                right = read == state and written == read + amount and _enough(state, amount)
                return (written,) if right else ()
            case Unseen(amount):
                return (state + amount,) if _enough(state, amount) else ()
            case Refusal(amount, seen):
                return (state,) if seen == state < amount else ()
        return (state,) if act.seen == state else ()

    def may_end(self, state: float) -> bool:
        """Tell whether the table ended with ``state``."""
        return self.ending is None or self.ending == state

    def objection(self, state: float, act: Any) -> str:
        """Compare what was seen with what was there."""
        there = f"the stock was {number(state)}"
        match act:
            case None:
                end = number(self.ending or 0.0)
                return f"{there} after all of them, and the table ended with {end}"
            case Update(amount, read, written) if read == state:
                if written != read + amount:
                    return f"it read {number(read)} and wrote {number(written)}"
                return f"it took {number(-amount)} where {there}"
            case Refusal(amount, seen) if seen == state:
                return f"it was refused {number(amount)} where {there}"
            case Update(_, seen, _) | Refusal(_, seen):
                return f"it read {number(seen)} where {there}"
        return f"it read {number(act.seen)} where {there}"


def _enough(stock: float, amount: float) -> bool:
    """Tell whether there is enough to take; whoever adds to a stock mends it, however low it is."""
    return amount >= 0 or stock >= -amount


class Setting(NamedTuple):
    """Both rates were written; the second is None if nobody wrote down which that was."""

    sell: float
    buy: float | None


class Rates:
    """The two rates of a row, written and read as one pair."""

    def __init__(self, opening: tuple[float, float], ending: tuple[float, float] | None) -> None:
        self.opening: tuple[float, float | None] = opening
        self.ending = ending

    def after(
        self, state: tuple[float, float | None], act: Any
    ) -> Iterable[tuple[float, float | None]]:
        """Return the pair; an unknown second rate is what the first to look makes of it."""
        if isinstance(act, Setting):
            return ((act.sell, act.buy),)
        return (act.seen,) if _same(state, act.seen) else ()

    def may_end(self, state: tuple[float, float | None]) -> bool:
        """Tell whether the table ended with ``state``."""
        return self.ending is None or _same(state, self.ending)

    def objection(self, state: tuple[float, float | None], act: Any) -> str:
        """Compare what was seen with what was there."""
        there = f"the rates were {_pair(state)}"
        if act is None:
            return f"{there} after all of them, and the table ended with {_pair(self.ending)}"
        return f"it read {_pair(act.seen)} where {there}"


def _same(state: tuple[float, float | None], seen: tuple[float, float]) -> bool:
    return state[0] == seen[0] and state[1] in (None, seen[1])


def _pair(rates: tuple[float, float | None] | None) -> str:
    return " and ".join("?" if rate is None else number(rate, 7) for rate in rates or ())
