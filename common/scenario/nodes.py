"""How YAML text becomes a tree of nodes that know their places, with nothing interpreted yet.

Values stay text: what ``no`` or ``010`` means is decided where the wanted type is known
(:mod:`common.scenario.values`). What a scenario never needs and what makes YAML dangerous is
refused here: anchors and aliases (a few lines of them unfold to gigabytes), tags, merge keys,
duplicate keys, a second document, and a tree that is too deep or too large.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from common.errors import Complaint
from common.scenario.source import UNPRINTABLE
from common.scenario.syntax import SyntaxFault, explain

DEEPEST = 32
MOST = 10_000

# libyaml's parser is ten times faster; both give the same events.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Place:
    """Where something stands: a file (or ``--set``), and a 1-based line and column."""

    source: str
    line: int
    column: int

    def complaint(self, field: str, reason: str, hint: str = "") -> Complaint:
        """Return a complaint about what stands here."""
        return Complaint(self.source, self.line, self.column, field, reason, hint)


@dataclass
class Scalar:
    """One word or number as it is written; ``plain`` when it has no quotes."""

    place: Place
    text: str
    plain: bool = True


@dataclass
class Sequence:
    """A list."""

    place: Place
    items: list[Node] = field(default_factory=list)


@dataclass
class Mapping:
    """A mapping: each key with the node of the key and that of its value."""

    place: Place
    entries: dict[str, tuple[Scalar, Node]] = field(default_factory=dict)


@dataclass
class Refused:
    """A value that was complained about already: nothing more is said of it."""

    place: Place


Node = Scalar | Sequence | Mapping | Refused


def compose(
    text: str, source: str, line: int = 1, column: int = 1
) -> tuple[Node | None, list[Complaint]]:
    """Return the tree of ``text`` and what is wrong with it; no tree when it is empty or broken.

    ``line`` and ``column`` say where in ``source`` the text begins. Never raises.
    """
    builder = _Builder(source, line, column)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
            if builder.stopped:
                return None, builder.complaints
    except yaml.MarkedYAMLError as error:
        builder.complain_of_syntax(explain(error, text))
        return None, builder.complaints
    return builder.root, builder.complaints


def describe(node: Node) -> str:
    """Return what a node is, for a sentence."""
    match node:
        case Sequence():
            return "a list"
        case Mapping():
            return "a mapping"
        case Scalar(text=""):
            return "nothing" if node.plain else "an empty text"
        case Scalar():
            return quoted(node.text)
        case _:
            return "a refused value"


def quoted(text: str) -> str:
    """Return ``text`` in quotes, cut where it is long, on one line."""
    return repr(text if len(text) <= 40 else text[:37] + "...")


class _Builder:
    """Takes the parser's events one by one; no recursion, so depth is a count and not a crash."""

    def __init__(self, source: str, line: int, column: int) -> None:
        self.root: Node | None = None
        self.complaints: list[Complaint] = []
        self.stopped = False
        self._source, self._line, self._column = source, line, column
        self._open: list[Sequence | Mapping] = []
        self._keys: list[Node | None] = []
        self._count = 0
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._stop(event, "a second document begins here", "one file is one scenario")
        elif isinstance(event, yaml.CollectionEndEvent):
            self._open.pop()
            self._keys.pop()
        elif isinstance(event, yaml.NodeEvent):
            self._count += 1
            if self._count > MOST:
                self._stop(event, f"more than {MOST} values", "a scenario is a short text")
            elif len(self._open) >= DEEPEST:
                self._stop(event, f"nested deeper than {DEEPEST} levels", "")
            else:
                self._take_node(event)

    def complain_of_syntax(self, fault: SyntaxFault) -> None:
        place = self._place(fault.line, fault.column)
        if fault.inside and self._open:
            place = self._open[-1].place
        self.complaints.append(place.complaint("", f"not YAML: {fault.reason}", fault.hint))

    def _place(self, line: int, column: int) -> Place:
        # Only the first line of the text is shifted by what stands before it in the source.
        shift = self._column if line == 0 else 1
        return Place(self._source, line + self._line, column + shift)

    def _place_of(self, event: yaml.Event) -> Place:
        mark = event.start_mark
        return self._place(mark.line, mark.column) if mark else self._place(0, 0)

    def _stop(self, event: yaml.Event, reason: str, hint: str) -> None:
        self.complaints.append(self._place_of(event).complaint("", reason, hint))
        self.stopped = True

    def _take_node(self, event: yaml.NodeEvent) -> None:
        place = self._place_of(event)
        node = self._node(event, place)
        if isinstance(event, yaml.AliasEvent):
            node = self._refuse(place, f"the alias *{event.anchor}", "write the value again")
        elif event.anchor is not None:
            self._refuse(place, f"the anchor &{event.anchor}", "write the value where it is used")
        self._attach(node)
        if isinstance(event, yaml.CollectionStartEvent):
            # What is inside a refused collection is read too: it may hold more to complain about.
            self._open.append(node if isinstance(node, Sequence | Mapping) else Sequence(place))
            self._keys.append(None)

    def _node(self, event: yaml.NodeEvent, place: Place) -> Node:
        tag = getattr(event, "tag", None)
        if tag is not None:
            word = quoted(tag.replace("tag:yaml.org,2002:", "!!"))
            return self._refuse(place, f"the tag {word}", "write the plain value")
        if isinstance(event, yaml.MappingStartEvent):
            return Mapping(place)
        if isinstance(event, yaml.SequenceStartEvent):
            return Sequence(place)
        if not isinstance(event, yaml.ScalarEvent):
            return Refused(place)
        if unprintable := UNPRINTABLE.search(event.value):
            return self._refuse(place, f"the character U+{ord(unprintable[0]):04X}", "leave it out")
        return Scalar(place, event.value, event.implicit[0])

    def _refuse(self, place: Place, what: str, hint: str) -> Refused:
        self.complaints.append(place.complaint("", f"{what} is refused", hint))
        return Refused(place)

    def _attach(self, node: Node) -> None:
        if not self._open:
            self.root = node
            return
        container = self._open[-1]
        if isinstance(container, Sequence):
            container.items.append(node)
        elif self._keys[-1] is None:
            self._keys[-1] = node
        else:
            key, self._keys[-1] = self._keys[-1], None
            self._enter(container, key, node)

    def _enter(self, mapping: Mapping, key: Node, value: Node) -> None:
        if isinstance(value, Scalar) and value.plain and not value.text:
            # An empty value stands where its key stands; the parser puts it at the line's end.
            value.place = key.place
        if isinstance(key, Refused):
            return
        if not isinstance(key, Scalar):
            reason = f"a key must be a word, not {describe(key)}"
            self.complaints.append(key.place.complaint("", reason))
        elif key.plain and key.text == "<<":
            self._refuse(key.place, "the merge key <<", "write the entries out")
        elif key.text in mapping.entries:
            first = mapping.entries[key.text][0].place
            reason = f"the key {quoted(key.text)} is here twice"
            hint = f"the first is at line {first.line}, column {first.column}"
            self.complaints.append(key.place.complaint("", reason, hint))
        else:
            mapping.entries[key.text] = (key, value)
