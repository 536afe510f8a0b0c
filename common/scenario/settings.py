"""How one value of a scenario is changed: a dotted path into its tree, and the new value.

``table.lock`` names a key of a key, ``processes.trader.operations`` an option of a group,
``processes.0.count`` the first group. A path is not checked here: what it adds stands in the tree
like anything that was written there, at the place of the setting, and is judged with the rest.
"""

from __future__ import annotations

from typing import Any

from common.errors import Complaint
from common.kinds import nearest
from common.scenario.nodes import (
    Mapping,
    Node,
    Place,
    Refused,
    Scalar,
    Sequence,
    compose,
    quoted,
)

COMMAND_LINE = "--set"

# A variant cannot change what decides which variants there are.
_FIXED = ("variants",)


class Setting:
    """One change: ``path`` is dotted, ``place`` where the path is written, ``value`` a node."""

    def __init__(self, path: str, place: Place, value: Node) -> None:
        self.path = path
        self.place = place
        self.value = value

    def apply(self, tree: Node) -> Node:
        """Return ``tree`` with the change; the given tree stays as it is. Raises ``NoSuchPath``."""
        names = self.path.split(".")
        if not all(names):
            raise NoSuchPath(self._complaint("has an empty part", "such as table.lock"))
        if names[0] in _FIXED:
            raise NoSuchPath(self._complaint(f"{names[0]} cannot be set", "set what they change"))
        return self._assign(tree, names, 0)

    def plain(self) -> Any:
        """Return the value as plain data, its words as they are written."""
        return _plain(self.value)

    def _assign(self, node: Node, names: list[str], at: int) -> Node:
        if at == len(names):
            return self.value
        match node:
            case Mapping(place, entries):
                name = names[at]
                key, child = entries.get(name, (Scalar(self.place, name), Mapping(self.place)))
                return Mapping(place, {**entries, name: (key, self._assign(child, names, at + 1))})
            case Sequence(place, items):
                index = self._index(items, names, at)
                changed = self._assign(items[index], names, at + 1)
                return Sequence(place, [*items[:index], changed, *items[index + 1 :]])
            case Scalar(text="", plain=True):
                return self._assign(Mapping(node.place), names, at)
            case Scalar():
                # A kind (or verdict) that stands alone gets room for its options.
                word = "verdict" if names[at - 1] == "expect" else "kind"
                grown = Mapping(self.place, {word: (Scalar(node.place, word), node)})
                return self._assign(grown, names, at)
            case _:
                return node

    def _index(self, items: list[Node], names: list[str], at: int) -> int:
        known = [_name(item) for item in items]
        if names[at] in known:
            return known.index(names[at])
        if names[at] in (positions := [str(position) for position in range(len(items))]):
            return int(names[at])
        within = ".".join(names[:at])
        raise NoSuchPath(
            self._complaint(
                f"{within} has no {quoted(names[at])}",
                nearest(names[at], [*filter(None, known), *positions]),
            )
        )

    def _complaint(self, reason: str, hint: str) -> Complaint:
        return self.place.complaint(self.path, reason, hint)


class NoSuchPath(Exception):
    """A setting names nothing that exists; carries its complaint."""

    def __init__(self, complaint: Complaint) -> None:
        super().__init__(str(complaint))
        self.complaint = complaint


def parse(text: str) -> tuple[Setting | None, list[Complaint]]:
    """Return the setting that ``KEY=VALUE`` gives, and what is wrong with it."""
    path, equals, value = text.partition("=")
    place = Place(COMMAND_LINE, 1, 1)
    if not equals:
        hint = "write key=value, such as table.lock=none"
        return None, [place.complaint("", f"{quoted(text)} sets nothing", hint)]
    node, complaints = compose(value, COMMAND_LINE, column=len(path) + 2)
    if node is None and not complaints:
        node = Scalar(place, "")
    return Setting(path.strip(), place, node) if node is not None else None, complaints


def _name(item: Node) -> str:
    """Return the name by which an entry of a list is addressed ("" when it has none)."""
    if isinstance(item, Mapping):
        for key in ("name", "role"):
            value = item.entries[key][1] if key in item.entries else None
            if isinstance(value, Scalar):
                return value.text
    return ""


def _plain(node: Node) -> Any:
    match node:
        case Scalar(_, text):
            return text
        case Sequence(_, items):
            return [_plain(item) for item in items]
        case Mapping(_, entries):
            return {name: _plain(child) for name, (_, child) in entries.items()}
        case Refused():
            return None
