"""How are figures written in a sentence? For people: the exact values are in the witnesses."""

from __future__ import annotations

_PAST = {"buy": "bought", "sell": "sold"}


def number(value: float, decimals: int = 4) -> str:
    """Return a figure with thousands separated and at most so many decimals: ``9,450.25``."""
    if value and abs(value) < 10**-decimals:
        return f"{value:.3g}"
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def signed(value: float) -> str:
    """Return a figure with its sign: ``+10``, ``-3.5``."""
    return f"+{number(value)}" if value >= 0 else number(value)


def span(ns: int) -> str:
    """Return a length of time (given in ns) in the unit that suits it: ``4 µs``."""
    for unit, size in (("s", 10**9), ("ms", 10**6), ("µs", 10**3)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns} ns"


def past(name: str) -> str:
    """Return what was done by an operation: ``bought`` for ``buy``."""
    return _PAST.get(name, f"changed by {name}")


def many(count: int, noun: str) -> str:
    """Return a count with its noun: ``1 update``, ``1,204 updates``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def were(count: int) -> str:
    """Return the verb for a count: ``was`` for 1, else ``were``."""
    return "was" if count == 1 else "were"
