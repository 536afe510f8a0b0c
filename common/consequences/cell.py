"""The parts of a section: its rows, its columns, what a cell asks for, and what was seen there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Row:
    """One kind with one choice of its options; ``label`` names it."""

    kind: str
    options: dict[str, Any] = field(default_factory=dict)
    label: str = ""

    @property
    def value(self) -> str:
        """Return it as a scenario writes it, on one line."""
        words = [f"kind: {self.kind}"]
        words += [f"{name}: {_word(value)}" for name, value in self.options.items()]
        return "{" + ", ".join(words) + "}"


@dataclass(frozen=True)
class Column:
    """One fault: ``scenario`` is its shipped scenario, ``what`` a sentence about it."""

    name: str
    heading: str
    scenario: str
    what: str


@dataclass(frozen=True)
class Asked:
    """The run that a cell asks for: a variant of its column's scenario, with changed values.

    ``full`` is a directory on whose disk it finds no room; "" for none, relative to the one that
    holds the scenario's runs. Such a run is to be refused. With ``again`` it is the second of two:
    the launcher of the first is killed at its last fault.
    """

    variant: str
    settings: tuple[str, ...] = ()
    full: str = ""
    again: bool = False


@dataclass(frozen=True)
class Without:
    """There is no such cell, and ``why``."""

    why: str


@dataclass(frozen=True)
class Seen:
    """What a run showed: a few words for the table, a sentence for people.

    ``differs`` says how that is not what the kind says of itself; "" where it is.
    """

    word: str
    sentence: str
    differs: str = ""


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else f'"{value}"' if isinstance(value, str) else str(value)
