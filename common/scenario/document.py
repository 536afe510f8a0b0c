"""The JSON Schema of scenarios, written from the same shapes that judge them; for editors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common import kinds
from common.kernel.recovery import STEPS as RECOVERY_STEPS
from common.scenario import schema
from common.scenario.commands import CommandShape, WordsShape
from common.scenario.numbers import Integer, Number
from common.scenario.shapes import Anything, Choice, Field, ListOf, MapOf, Record
from common.scenario.values import Boolean, Optional, Shape, Text, Word
from common.system import System

DRAFT = "https://json-schema.org/draft/2020-12/schema"

Document = dict[str, Any]


def json_schema(systems: Mapping[str, System]) -> Document:
    """Return the schema (draft 2020-12) of a scenario of any of ``systems``.

    It holds what can be said of each value alone; what values say of each other (a channel that
    nobody uses, a step that a role does not have) only the loader knows.
    """
    shape = schema.scenario(systems, systems, _steps(systems))
    return {
        "$schema": DRAFT,
        "title": "A scenario of the concurrency lab",
        **_describe(shape),
        "$defs": {"delay": _record(schema.DELAY)},
    }


def _steps(systems: Mapping[str, System]) -> tuple[str, ...]:
    packages = [system.roles for system in systems.values()] + [kinds.CHANNELS]
    modules = [kinds.load(package, name) for package in packages for name in kinds.names(package)]
    steps = {step for module in modules for step in getattr(module, "STEPS", ())}
    return tuple(sorted({*steps, *RECOVERY_STEPS}))


def _describe(shape: Shape) -> Document:
    match shape:
        case Text(pattern):
            return {"type": "string", **({"pattern": f"^{pattern}$"} if pattern else {})}
        case Word(choices):
            return {"enum": list(choices)}
        case Boolean():
            return {"type": "boolean"}
        case Integer(minimum, maximum):
            return {"type": "integer", **_given(minimum=minimum, maximum=maximum)}
        case Number(minimum, maximum, _grain):
            return {"type": "number", **_given(minimum=minimum, maximum=maximum)}
        case Optional(inner):
            return {"anyOf": [_describe(inner), {"type": "null"}]}
        case ListOf():
            return _list(shape)
        case MapOf():
            return _map(shape)
        case Record() if shape is schema.DELAY:
            return {"$ref": "#/$defs/delay"}
        case Record():
            return _record(shape)
        case Choice():
            return _choice(shape)
        case Anything():
            return {}
        case CommandShape() | WordsShape():
            word = {"type": "string"}
            return {"anyOf": [word, {"type": "array", "items": word, "minItems": 1}]}
        case _:
            raise TypeError(f"no schema is known for {shape!r}")


def _list(shape: ListOf) -> Document:
    one = _describe(shape.shape)
    bounds = _given(minItems=shape.minimum or None, maxItems=shape.maximum)
    many = {"type": "array", "items": one, **bounds}
    return {"anyOf": [one, many]} if shape.alone else many


def _map(shape: MapOf) -> Document:
    bounds = _given(minProperties=shape.minimum or None, maxProperties=shape.maximum)
    value = _describe(shape.shape)
    if isinstance(shape.names, Word):
        properties = dict.fromkeys(shape.names.choices, value)
        known: Document = {"properties": properties, "additionalProperties": False}
    else:
        known = {"propertyNames": _describe(shape.names), "additionalProperties": value}
    return {"type": "object", **known, **bounds}


def _record(shape: Record) -> Document:
    required = [name for name, field in shape.fields.items() if field.required]
    mapping = {
        "type": "object",
        "properties": {name: _field(field) for name, field in shape.fields.items()},
        "additionalProperties": False,
        **_given(required=required or None, minProperties=shape.minimum or None),
    }
    if shape.shorthand:
        return {"anyOf": [_describe(shape.fields[shape.shorthand].shape), mapping]}
    return mapping


def _choice(shape: Choice) -> Document:
    """Return one branch a kind, told apart by the constant that names it."""
    branches: list[Document] = []
    for kind in shape.kinds:
        about = _given(description=shape.about(kind) or None)
        mapping = shape.record(kind)
        document = _record(mapping)
        document["properties"][shape.tag] = {"const": kind, **about}
        branches.append({"title": kind, **about, **document})
        others = [field for name, field in mapping.fields.items() if name != shape.tag]
        if shape.shorthand and not any(field.required for field in others):
            branches.append({"const": kind, **about})
    return {"oneOf": branches}


def _field(field: Field) -> Document:
    default = {} if field.default is None else {"default": field.default}
    return {**_describe(field.shape), "description": field.about, **default}


def _given(**entries: Any) -> Document:
    return {name: entry for name, entry in entries.items() if entry is not None}
