"""What locks, tables and channels there are, and how each behaves: from the kinds' own words.

The conformance suite holds the kinds to these facts, so what is printed here was found on a kernel.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from common import kinds

FAMILIES = {"locks": kinds.LOCKS, "tables": kinds.TABLES, "channels": kinds.CHANNELS}

# How the facts are called for people.
_WORDS = {
    "holder_dies": "when its holder is killed",
    "counts": "a second release lets two in",
    "inherited": "a child forked inside holds it too",
    "tells_removal": "who waits is told of its removal",
    "excludes": "one process at a time",
    "takes_together": "several rows at once",
    "shared": "many readers at once",
    "bounded": "a full one makes the sender wait",
    "boundaries": "keeps message boundaries",
    "many_senders": "several senders",
    "many_receivers": "several receivers",
    "kept": "a message outlives its sender",
    "answers": "carries answers back",
    "guarded": "needs a lock",
    "walkable": "schedules can be walked",
    "receiver_dies": "when a receiver is killed",
    "sender_dies": "a sender killed in mid-message leaves",
    "outlives": "contents carry on in the next run",
}


@dataclasses.dataclass(frozen=True)
class Entry:
    """One kind: its first sentence, its facts by name, its options, and what they change.

    ``options`` are (name, default, meaning); ``changes`` the facts that differ under another value
    of one option: (option, value, facts).
    """

    kind: str
    about: str
    facts: dict[str, bool | str]
    options: list[tuple[str, Any, str]]
    changes: list[tuple[str, Any, dict[str, bool | str]]]


def entries(family: str, only: str = "") -> list[Entry]:
    """Return the kinds of ``locks``, ``tables`` or ``channels``, by name; or ``only`` one."""
    package = FAMILIES[family]
    return [_entry(package, kind) for kind in kinds.names(package) if only in ("", kind)]


def alternatives(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Yield every other value of the options that are a switch or a choice: (option, value)."""
    for field in dataclasses.fields(module.Options):
        values = (True, False) if isinstance(field.default, bool) else field.metadata["choices"]
        for value in values:
            if value != field.default and not isinstance(field.default, list):
                yield field.name, value


def shown(value: bool | str) -> str:
    """Return a fact as people read it."""
    return value if isinstance(value, str) else "yes" if value else "no"


def called(fact: str) -> str:
    """Return the name of a fact as people read it."""
    return _WORDS.get(fact, fact.replace("_", " "))


def text(family: str, only: str = "") -> str:
    """Return the kinds of a family with their facts, for a terminal; or ``only`` one of them."""
    lines = [family]
    for entry in entries(family, only):
        lines += ["", f"  {entry.kind}: {entry.about}"]
        width = max(len(called(fact)) for fact in entry.facts)
        lines += [f"    {called(fact).ljust(width)}  {shown(v)}" for fact, v in entry.facts.items()]
        for name, default, about in entry.options:
            lines.append(f"    option {name} = {_value(default)}: {about}")
        for option, value, facts in entry.changes:
            for fact, changed in facts.items():
                words = f"{called(fact)}: {shown(changed)}"
                lines.append(f"    with {option} = {_value(value)}: {words}")
    return "\n".join(lines)


def markdown() -> str:
    """Return all families as one page of documentation."""
    lines = [
        "# Mechanisms",
        "",
        "Written by `python run.py list --markdown > docs/mechanisms.md` from the kinds; the suite",
        "`tests/conformance` holds them to it.",
    ]
    for family in FAMILIES:
        lines += ["", f"## {family.capitalize()}"]
        for entry in entries(family):
            lines += ["", f"### {entry.kind}", "", entry.about, ""]
            lines += ["| | |", "|---|---|"]
            lines += [f"| {called(fact)} | {shown(v)} |" for fact, v in entry.facts.items()]
            for name, default, about in entry.options:
                lines.append(f"| option `{name}` = {_value(default)} | {about} |")
            for option, value, facts in entry.changes:
                for fact, changed in facts.items():
                    words = f"{called(fact)}: {shown(changed)}"
                    lines.append(f"| with `{option}: {_value(value)}` | {words} |")
    return "\n".join(line.rstrip() for line in lines)


def _entry(package: str, kind: str) -> Entry:
    module = kinds.load(package, kind)
    facts = _facts(package, module, {})
    changes = []
    for option, value in alternatives(module):
        other = _facts(package, module, {option: value})
        differ = {fact: other[fact] for fact in facts if other[fact] != facts[fact]}
        if differ:
            changes.append((option, value, differ))
    options = [
        (field.name, _default(field), field.metadata["about"])
        for field in dataclasses.fields(module.Options)
    ]
    return Entry(kind, kinds.about(module), facts, options, changes)


def _facts(package: str, module: ModuleType, options: Mapping[str, Any]) -> dict[str, bool | str]:
    """Return what a kind says of itself, its constants among it."""
    found: dict[str, bool | str] = {}
    if package == kinds.LOCKS:
        found["excludes"] = module.EXCLUDES
    found.update(module.facts(module.Options(**options))._asdict())
    if package != kinds.TABLES:
        asked = getattr(module, "tells_removal", None)
        chosen = module.Options(**options)
        found["tells_removal"] = module.TELLS_REMOVAL if asked is None else asked(chosen)
    if package == kinds.LOCKS:
        found["takes_together"] = hasattr(module, "together")
        found["shared"] = getattr(module, "SHARED", False)
    if package == kinds.CHANNELS:
        found["guarded"] = getattr(module, "GUARDED", True)
        found["answers"] = getattr(module, "ANSWERS", False)
        found["walkable"] = getattr(module, "WALKABLE", True)
    return found


def _default(field: dataclasses.Field[Any]) -> Any:
    return [] if field.default is dataclasses.MISSING else field.default


def _value(value: Any) -> str:
    if value is None:
        return "(none)"
    return str(value).lower() if isinstance(value, bool) else str(value)
