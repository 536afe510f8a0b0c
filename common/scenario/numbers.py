"""What a number is in a scenario: written in one way that every YAML reader reads alike."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from common.scenario.nodes import Node, Scalar, quoted
from common.scenario.values import Path, Reading, WrongValue, implicit, read_scalar

_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_HEXADECIMAL = re.compile(r"[-+]?0x[0-9a-fA-F]+")
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]*)?(\.[0-9]*([eE][-+][0-9]+)?)?")
_LONGEST = 40


class Integer(NamedTuple):
    """A whole number, in decimal or as 0x…, within inclusive bounds."""

    minimum: float | None = None
    maximum: float | None = None

    def read(self, node: Node, path: Path, reading: Reading) -> int | None:
        """Return the number, or None after a complaint."""
        return read_scalar(self._integer, node, path, reading)

    def _integer(self, node: Scalar) -> int:
        text = node.text
        if not (node.plain and (_WHOLE.fullmatch(text) or _HEXADECIMAL.fullmatch(text))):
            raise _not_a_number("a whole number", node)
        if len(text) > _LONGEST:
            raise WrongValue(f"a number of {len(text)} digits is too large")
        value = int(text, 0)
        _check_bounds(value, text, self.minimum, self.maximum)
        return value


class Number(NamedTuple):
    """A finite number within inclusive bounds, and a multiple of ``grain`` where that is given."""

    minimum: float | None = None
    maximum: float | None = None
    grain: float | None = None

    def read(self, node: Node, path: Path, reading: Reading) -> float | None:
        """Return the number, or None after a complaint."""
        return read_scalar(self._number, node, path, reading)

    def _number(self, node: Scalar) -> float:
        text = node.text
        digits = any(character.isdigit() for character in text)
        if not (node.plain and digits and _DECIMAL.fullmatch(text)):
            raise _not_a_number("a number", node)
        value = float(text) if len(text) <= _LONGEST else math.inf
        if not math.isfinite(value):
            raise WrongValue(f"{quoted(text)} is too large")
        _check_bounds(value, text, self.minimum, self.maximum)
        if self.grain is not None and value % self.grain:
            raise WrongValue(
                f"{text} cannot be summed exactly",
                "a whole number, or one with halves, quarters, …",
            )
        return value


def _not_a_number(wanted: str, node: Scalar) -> WrongValue:
    text = node.text
    if not node.plain:
        bare = _DECIMAL.fullmatch(text) and text
        reason = f"{wanted} is wanted, and {quoted(text)} in quotes is a text"
        return WrongValue(reason, f"write {text}, without quotes" if bare else "")
    if len(text) > _LONGEST:
        return WrongValue(f"{wanted} is wanted, not {quoted(text)}")
    meaning = implicit(text)
    if meaning == "nothing":
        return WrongValue("has no value", f"write {wanted}")
    if meaning == "a boolean":
        return WrongValue(f"{wanted} is wanted, and {text} is a boolean")
    return WrongValue(f"{wanted} is wanted, not {text}", _plainly(text, meaning))


def _plainly(text: str, meaning: str) -> str:
    """Return a hint: the number that was probably meant, written so that all readers agree."""
    bare = text.replace("_", "")
    if meaning == "a number in base 60":
        value = 0.0
        for part in bare.lstrip("+-").split(":"):
            value = value * 60 + float(part)
        return f"YAML reads it in base 60, as {value:g}; write that number, or the one you mean"
    if meaning == "an octal number":
        value = int(bare.replace("o", ""), 8)
        return f"YAML reads it in base 8; write {value}, or leave the zeros out"
    if "nan" in text.lower() or "inf" in text.lower():
        return "only finite numbers are numbers here"
    if meaning == "a number" and "0b" not in bare and "0x" not in bare:
        value = float(bare)
        if abs(value) < 1e15 and value.is_integer():
            return f"write {value:.0f}"
        if not _DECIMAL.fullmatch(text):
            # 1e3 is a number to some readers of YAML and a text to others.
            return f"write {value}" if 1e-4 <= abs(value) < 1e15 else "write its digits"
    return ""


def _check_bounds(value: float, text: str, minimum: float | None, maximum: float | None) -> None:
    if minimum is not None and value < minimum:
        raise WrongValue(f"{text} is too small", f"the least is {_figure(minimum)}")
    if maximum is not None and value > maximum:
        raise WrongValue(f"{text} is too large", f"the most is {_figure(maximum)}")


def _figure(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e21 else f"{value:g}"
