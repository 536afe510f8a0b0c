"""What a mapping or a list must look like, built from the shapes of its values.

Each shape reads a node into plain data and puts all that is wrong into a :class:`Reading`; the
JSON Schema is written from the same shapes (:mod:`common.scenario.document`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from common.kinds import nearest
from common.scenario.nodes import Mapping as MappingNode
from common.scenario.nodes import Node, Refused, Scalar, Sequence, describe, quoted
from common.scenario.values import Path, Reading, Shape, Text, Word, implicit


class Field(NamedTuple):
    """One entry of a record: its shape, its meaning, and whether it may be left out."""

    shape: Shape
    about: str
    required: bool = False
    default: Any = None


class Anything(NamedTuple):
    """A value that is judged elsewhere; it is returned as its node."""

    def read(self, node: Node, path: Path, reading: Reading) -> Node:
        """Return the node."""
        reading.nodes[path] = node
        return node


class ListOf(NamedTuple):
    """A list of one shape; ``alone`` lets a single value stand for a list of one."""

    shape: Shape
    minimum: int = 0
    maximum: int | None = None
    alone: bool = False

    def read(self, node: Node, path: Path, reading: Reading) -> list[Any]:
        """Return the values; None stands for one that could not be read."""
        reading.nodes[path] = node
        if self.alone and isinstance(node, Scalar):
            return [self.shape.read(node, path, reading)]
        if not isinstance(node, Sequence):
            reading.complain(path, f"a list is wanted, not {describe(node)}")
            return []
        count = len(node.items)
        if count < self.minimum:
            reading.complain(path, "the list is too short", f"at least {self.minimum}")
        if self.maximum is not None and count > self.maximum:
            reading.complain(path, "the list is too long", f"at most {self.maximum}")
        return [self.shape.read(item, (*path, at), reading) for at, item in enumerate(node.items)]


class MapOf(NamedTuple):
    """A mapping from names to one shape; ``names`` is the shape of the names."""

    shape: Shape
    names: Text | Word
    what: str
    minimum: int = 0
    maximum: int | None = None

    def read(self, node: Node, path: Path, reading: Reading) -> dict[str, Any]:
        """Return the entries that could be read, in their order."""
        entries = _entries(node, path, reading)
        if isinstance(node, MappingNode):
            if len(entries) < self.minimum:
                reading.complain(path, f"no {self.what} is named", f"at least {self.minimum}")
            if self.maximum is not None and len(entries) > self.maximum:
                reading.complain(path, f"too many of them: {self.what}", f"at most {self.maximum}")
        values = {}
        for name, (key, child) in entries.items():
            at = (*path, name)
            known = self.names.read(key, at, reading) is not None
            reading.keys[at] = key
            value = self.shape.read(child, at, reading)
            if known and value is not None:
                values[name] = value
        return values


class Record(NamedTuple):
    """A mapping with named fields; a scalar may stand for the field ``shorthand`` alone."""

    fields: Mapping[str, Field]
    what: str
    shorthand: str = ""
    minimum: int = 0

    def read(self, node: Node, path: Path, reading: Reading) -> dict[str, Any] | None:
        """Return the fields that are given and could be read; None when it is no mapping."""
        if self.shorthand and isinstance(node, Scalar):
            reading.nodes[path] = node
            value = self.fields[self.shorthand].shape.read(node, path, reading)
            return None if value is None else {self.shorthand: value}
        entries = _entries(node, path, reading)
        if not isinstance(node, MappingNode):
            return None
        values = {}
        for name, (key, child) in entries.items():
            at = (*path, name)
            reading.keys[at] = key
            if name not in self.fields:
                _unknown(key, at, reading, self.what, self.fields)
                continue
            value = self.fields[name].shape.read(child, at, reading)
            if value is not None:
                values[name] = value
        for name, field in self.fields.items():
            if field.required and name not in entries:
                reading.complain((*path, name), f"{self.what} needs {name!r}", field.about)
        if len(entries) < self.minimum:
            reading.complain(path, f"{self.what} is empty", nearest("", self.fields))
        return values


class Chosen(NamedTuple):
    """A kind with the options that belong to it, and the fields that every kind has."""

    kind: str
    options: dict[str, Any]
    common: dict[str, Any]


class Choice(NamedTuple):
    """A mapping whose ``tag`` names a kind, which decides what else it may hold.

    ``options`` returns the options of a kind and ``about`` its description; they are asked only
    for a kind that is used, so that no other is imported.
    ``shorthand`` lets the kind stand alone.
    """

    tag: str
    what: str
    kinds: tuple[str, ...]
    options: Callable[[str], Mapping[str, Field]]
    about: Callable[[str], str]
    common: Mapping[str, Field] = MappingProxyType({})
    shorthand: bool = True

    def read(self, node: Node, path: Path, reading: Reading) -> Chosen | None:
        """Return the kind with its options, or None when the kind is not known."""
        word = Word(self.kinds, self.what)
        if self.shorthand and isinstance(node, Scalar):
            kind = word.read(node, path, reading)
            if kind is None:
                return None
            return self._of_kind(kind, MappingNode(node.place), path, reading)
        entries = _entries(node, path, reading)
        if not isinstance(node, MappingNode):
            return None
        if self.tag not in entries:
            reason = f"the {self.tag} is missing"
            reading.complain((*path, self.tag), reason, nearest("", self.kinds))
            return None
        key, child = entries[self.tag]
        reading.keys[*path, self.tag] = key
        kind = word.read(child, (*path, self.tag), reading)
        if kind is None:
            # Which options belong here is unknown: only what every kind has can be read.
            shared = {name: entry for name, entry in entries.items() if name in self.common}
            Record(self.common, self.what).read(MappingNode(node.place, shared), path, reading)
            reading.nodes[path] = node
            return None
        return self._of_kind(kind, node, path, reading)

    def record(self, kind: str, *, alone: bool = False) -> Record:
        """Return the shape of a mapping of this kind; ``alone``: without the tag itself."""
        tag = {self.tag: Field(Word((kind,), self.what), f"The {self.what}.", required=True)}
        fields = {**({} if alone else tag), **self.common, **self.options(kind)}
        return Record(fields, f"{self.what} {kind!r}")

    def _of_kind(self, kind: str, node: MappingNode, path: Path, reading: Reading) -> Chosen:
        record = self.record(kind, alone=self.tag not in node.entries)
        values = record.read(node, path, reading) or {}
        values.pop(self.tag, None)
        common = {name: values.pop(name) for name in self.common if name in values}
        return Chosen(kind, values, common)


def _entries(node: Node, path: Path, reading: Reading) -> dict[str, tuple[Scalar, Node]]:
    reading.nodes[path] = node
    if isinstance(node, MappingNode):
        return node.entries
    if not isinstance(node, Refused):
        reading.complain(path, f"a mapping is wanted, not {describe(node)}")
    return {}


def _unknown(
    key: Scalar, path: Path, reading: Reading, what: str, known: Mapping[str, Field]
) -> None:
    reading.nodes[path] = key
    meaning = implicit(key.text) if key.plain else ""
    if meaning:
        reading.complain(path, f"the key {key.text or 'of nothing'} is read as {meaning}",
                         "keys are words")  # fmt: skip
    else:
        reading.complain(path, f"{what} has no {quoted(key.text)}", nearest(key.text, known))
