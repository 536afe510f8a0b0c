"""The rows of a section: every kind of a family, once for each choice that makes a difference."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Hashable, Iterator
from types import ModuleType
from typing import Any

from common import kinds
from common.consequences.cell import Row

Difference = Callable[[ModuleType, Any], Hashable]


def rows(package: str, difference: Difference) -> list[Row]:
    """Return a row for each kind of ``package``.

    A kind has a further row for each choice of its switches and words for which ``difference``,
    called with its module and its options, is another.
    """
    found = []
    for kind in kinds.names(package):
        module = kinds.load(package, kind)
        seen: set[Hashable] = set()
        for options in _choices(module):
            made = difference(module, module.Options(**options))
            if made not in seen:
                seen.add(made)
                found.append(Row(kind, options, _label(kind, options)))
    return found


def options_of(package: str, row: Row) -> Any:
    """Return the options of a row, as its kind takes them."""
    return kinds.load(package, row.kind).Options(**row.options)


def _choices(module: ModuleType) -> Iterator[dict[str, Any]]:
    """Yield the defaults, as nothing at all, and then every combination of switches and words."""
    yield {}
    choices = {
        field.name: (True, False) if isinstance(field.default, bool) else field.metadata["choices"]
        for field in dataclasses.fields(module.Options)
        if isinstance(field.default, bool) or field.metadata["choices"]
    }
    for values in itertools.product(*choices.values()):
        yield dict(zip(choices, values, strict=True))


def _label(kind: str, options: dict[str, Any]) -> str:
    words = []
    for name, value in options.items():
        words.append(f"{'' if value else 'no '}{name}" if isinstance(value, bool) else str(value))
    return " ".join([kind, *words])
