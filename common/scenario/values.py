"""What a scalar means, once it is known which type is wanted; YAML 1.1's surprises are refused.

``no`` where a word is wanted reads as a boolean elsewhere, ``010`` is eight, ``1:30`` is ninety and
``1e3`` a string: each is refused with what to write instead, so that this loader, every other YAML
reader and the reader of the file agree on what it says.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

from common.errors import Complaint
from common.kinds import nearest
from common.scenario.nodes import Node, Refused, Scalar, describe, quoted

Path = tuple[str | int, ...]
T = TypeVar("T")

# What YAML 1.1 or 1.2 makes of a plain word, the first that matches.
_IMPLICIT = tuple(
    (meaning, re.compile(pattern))
    for meaning, pattern in (
        ("nothing", r"|~|null|Null|NULL"),
        ("a boolean", r"(?i:y|n|yes|no|on|off|true|false)"),
        ("a number in base 60", r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"),
        ("an octal number", r"[-+]?0(o[0-7_]+|[0-7_]+)"),
        ("a number", r"[-+]?(0b[01_]+|0x[0-9a-fA-F_]+)"),
        ("a number", r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?"),
        ("a number", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"),
        ("a date", r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt \t].*)?"),
    )
)


def implicit(text: str) -> str:
    """Return what YAML reads in a plain word (``a boolean``, ``a number`` …), "" for a text."""
    return next((meaning for meaning, regex in _IMPLICIT if regex.fullmatch(text)), "")


class Shape(Protocol):
    """What a value must look like."""

    def read(self, node: Node, path: Path, reading: Reading) -> Any:
        """Return the value as plain data; what is wrong goes into ``reading``."""


@dataclass
class Reading:
    """One reading of a tree: what is wrong with it, and where each value stands."""

    complaints: list[Complaint] = field(default_factory=list)
    nodes: dict[Path, Node] = field(default_factory=dict)
    keys: dict[Path, Scalar] = field(default_factory=dict)
    wrong: set[Path] = field(default_factory=set)

    def complain(self, path: Path, reason: str, hint: str = "", *, at_key: bool = False) -> None:
        """Complain about what stands at ``path``, or about the nearest thing around it."""
        self.wrong.add(path)
        known = path
        while known not in self.nodes:
            known = known[:-1]
        node = self.keys.get(known, self.nodes[known]) if at_key else self.nodes[known]
        if not isinstance(node, Refused):
            field = ".".join(str(part) for part in path)
            self.complaints.append(node.place.complaint(field, reason, hint))

    def sound(self, path: Path = ()) -> bool:
        """Whether nothing at or below ``path`` was complained about."""
        return all(wrong[: len(path)] != path for wrong in self.wrong)


class WrongValue(Exception):
    """A value is not what it should be: the reason, and the mend."""


# Shapes are named tuples: a frozen dataclass takes six times as long to make, at every start.
class Text(NamedTuple):
    """A text; ``pattern`` is a regular expression that the whole of it must match."""

    pattern: str = ""
    meaning: str = ""

    def read(self, node: Node, path: Path, reading: Reading) -> str | None:
        """Return the text, or None after a complaint."""
        return read_scalar(self._text, node, path, reading)

    def _text(self, node: Scalar) -> str:
        meaning = implicit(node.text) if node.plain else ""
        if meaning == "nothing":
            raise WrongValue(
                "has no value", "write a text, in quotes if it is one of YAML's own words"
            )
        if meaning:
            raise WrongValue(f"{node.text} is read as {meaning}, not as a text",
                         f'quote it: "{node.text}"')  # fmt: skip
        if self.pattern and not re.fullmatch(self.pattern, node.text):
            raise WrongValue(f"{quoted(node.text)} is not allowed", self.meaning)
        return node.text


class Word(NamedTuple):
    """One of a few words; ``what`` says what they are."""

    choices: tuple[str, ...]
    what: str

    def read(self, node: Node, path: Path, reading: Reading) -> str | None:
        """Return the word, or None after a complaint."""
        return read_scalar(self._word, node, path, reading)

    def _word(self, node: Scalar) -> str:
        if node.text in self.choices:
            return node.text
        if node.plain and implicit(node.text) == "nothing":
            raise WrongValue("has no value", nearest("", self.choices))
        raise WrongValue(f"there is no {self.what} {quoted(node.text)}",
                     nearest(node.text, self.choices))  # fmt: skip


class Boolean(NamedTuple):
    """``true`` or ``false``."""

    def read(self, node: Node, path: Path, reading: Reading) -> bool | None:
        """Return the truth value, or None after a complaint."""
        return read_scalar(self._boolean, node, path, reading)

    def _boolean(self, node: Scalar) -> bool:
        if node.plain and node.text in ("true", "false"):
            return node.text == "true"
        truth = node.text.lower()
        if truth in ("y", "yes", "on", "true"):
            raise WrongValue(f"{describe(node)} is not true or false", _bare("true", node))
        if truth in ("n", "no", "off", "false"):
            raise WrongValue(f"{describe(node)} is not true or false", _bare("false", node))
        raise WrongValue(f"true or false is wanted, not {describe(node)}")


def _bare(word: str, node: Scalar) -> str:
    return f"write {word}" if node.plain else f"write {word}, without quotes"


class Optional(NamedTuple):
    """A value that may be left empty."""

    shape: Shape

    def read(self, node: Node, path: Path, reading: Reading) -> Any:
        """Return the value, or None when it is empty or after a complaint."""
        if isinstance(node, Scalar) and node.plain and implicit(node.text) == "nothing":
            return None
        return self.shape.read(node, path, reading)


def read_scalar(
    convert: Callable[[Scalar], T], node: Node, path: Path, reading: Reading
) -> T | None:
    """Return what ``convert`` makes of a scalar; None after a complaint (``WrongValue``)."""
    reading.nodes[path] = node
    try:
        if not isinstance(node, Scalar):
            raise WrongValue(f"one value is wanted, not {describe(node)}")
        return convert(node)
    except WrongValue as wrong:
        reading.complain(path, *wrong.args)
        return None
