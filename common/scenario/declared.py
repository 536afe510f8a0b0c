"""What shape an option has, read from its declaration (:func:`common.options.option`)."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

from common.options import REQUIRED
from common.scenario.commands import WordsShape
from common.scenario.numbers import Integer, Number
from common.scenario.shapes import Field, ListOf
from common.scenario.values import Boolean, Optional, Shape, Text, Word


def fields_of(options: type) -> dict[str, Field]:
    """Return the fields that a dataclass of :func:`common.options.option` declares.

    Raises ``TypeError`` for a type that a scenario cannot hold.
    """
    hints = typing.get_type_hints(options)
    fields = {}
    for declared in dataclasses.fields(options):
        default = declared.default
        if declared.default_factory is not dataclasses.MISSING:
            default = declared.default_factory()
        required = default is dataclasses.MISSING or default is REQUIRED
        about = declared.metadata["about"]
        shape = _shape_of(hints[declared.name], declared.name, declared.metadata)
        fields[declared.name] = Field(shape, about, required, None if required else default)
    return fields


def _shape_of(hint: Any, name: str, metadata: Mapping[str, Any]) -> Shape:
    minimum, maximum, choices = metadata["minimum"], metadata["maximum"], metadata["choices"]
    inner = typing.get_args(hint)
    if type(None) in inner:
        shape: Any = _shape_of(
            next(kind for kind in inner if kind is not type(None)), name, metadata
        )
        return Optional(shape)
    if metadata["program"]:
        return WordsShape()
    if typing.get_origin(hint) is list:
        unbounded = {**metadata, "minimum": None, "maximum": None}
        return ListOf(_shape_of(inner[0], name, unbounded), int(minimum or 0), maximum)
    if hint is bool:
        return Boolean()
    if hint is int:
        return Integer(minimum, maximum)
    if hint is float:
        return Number(minimum, maximum)
    if hint is str:
        return Word(tuple(choices), "choice") if choices else Text()
    raise TypeError(f"option {name}: a scenario cannot hold {hint}")
