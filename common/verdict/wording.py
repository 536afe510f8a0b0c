"""How are figures written in a sentence? For people: the exact values are in the witnesses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

# So many names stand in a sentence; the others are counted.
NAMED = 4
# What a sentence is about where it begins with names: ``EURO, POUND: sell is not above buy``.
_ABOUT = re.compile(r"([\w.-]+(?:, [\w.-]+)*): (.+)", re.DOTALL)
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


def listed(names: Sequence[str]) -> str:
    """Return some names as a sentence has them: ``a, b and c``, not all where there are many."""
    more = len(names) - NAMED
    parts = [*names[:NAMED], f"{more} more"] if more > 0 else list(names)
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def parted(sentence: str) -> tuple[tuple[str, ...], str]:
    """Return the names that a sentence begins with, as ``EURO, POUND: …``, and the rest of it."""
    found = _ABOUT.fullmatch(sentence)
    return (tuple(found[1].split(", ")), found[2]) if found else ((), sentence)


def joined(sentences: Iterable[str]) -> list[str]:
    """Return the sentences, in order; those that say the same of several things are one."""
    about: dict[str, dict[str, None]] = {}
    for sentence in sentences:
        names, said = parted(sentence)
        about.setdefault(said, {}).update(dict.fromkeys(names))
    return [f"{', '.join(names)}: {said}" if names else said for said, names in about.items()]
