"""How a scenario file becomes a scenario that can be planned, or all that is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from common.errors import Complaint, ScenarioError
from common.scenario import nodes, schema, source
from common.scenario.checks import check
from common.scenario.nodes import Node
from common.scenario.settings import COMMAND_LINE, NoSuchPath, Setting, parse
from common.scenario.values import Reading
from common.system import System

# The name of the one variant of a scenario that declares none.
ONLY = "default"

Entries = dict[str, tuple[nodes.Scalar, Node]]


class Variant(NamedTuple):
    """One variant, judged: its values by key, and the settings that made it what it is."""

    name: str
    systems: tuple[str, ...]
    values: Mapping[str, Any]
    settings: Mapping[str, Any]


class Scenario(NamedTuple):
    """A scenario without an error in any of its variants, which are in the order of the file."""

    name: str
    source: str
    about: str
    variants: Mapping[str, Variant]


def load(
    path: Path | str,
    systems: Mapping[str, System],
    settings: Sequence[str | Setting] = (),
    schedule: Path | None = None,
    text: str | None = None,
) -> Scenario:
    """Read and judge the file at ``path``, with settings ``KEY=VALUE`` applied to every variant.

    A setting may also have been read from another file already. So is the schedule that the YAML
    file ``schedule`` holds. ``text`` is that of the file, where it has been read already.

    Raises ``ScenarioError`` with every complaint, in the order of the places they are about.
    """
    path = Path(path)
    shown = source.shown(path)
    tree, complaints = nodes.compose(source.read(path) if text is None else text, shown)
    if not isinstance(tree, nodes.Mapping):
        raise ScenarioError(complaints or [_no_scenario(tree, shown)])
    given = _parse(settings, complaints)
    if schedule is not None:
        where = source.shown(schedule)
        moves, wrong = nodes.compose(source.read(schedule), where)
        complaints += wrong
        if isinstance(moves, nodes.Mapping) and list(moves.entries) == ["schedule"]:
            # Pasted from a scenario, with its key.
            moves = moves.entries["schedule"][1]
        if moves is not None:
            given.append(Setting("schedule", nodes.Place(where, 1, 1), moves))
    entries = dict(tree.entries)
    declared, expectations = _variants(entries.pop("variants", None), complaints)
    variants = {}
    for name, own in declared.items():
        changed = nodes.Mapping(tree.place, dict(entries))
        if name in expectations:
            changed.entries["expect"] = expectations[name]
        variants[name] = _variant(name, changed, [*own, *given], systems, complaints)
    if complaints:
        # Variants share most of the file, and with it most complaints.
        raise ScenarioError(sorted(set(complaints), key=_order))
    about = next(iter(variants.values())).values.get("about", "")
    return Scenario(_name(path), shown, about, variants)


def _parse(texts: Iterable[str | Setting], complaints: list[Complaint]) -> list[Setting]:
    parsed = []
    for text in texts:
        setting, wrong = (text, []) if isinstance(text, Setting) else parse(text)
        complaints += wrong
        if setting is not None:
            parsed.append(setting)
    return parsed


def _variants(
    entry: tuple[nodes.Scalar, Node] | None, complaints: list[Complaint]
) -> tuple[dict[str, list[Setting]], Entries]:
    """Return the settings of each variant, and the expectation of those that have one."""
    if entry is None:
        return {ONLY: []}, {}
    reading = Reading()
    values = schema.variants().read(entry[1], ("variants",), reading)
    complaints += reading.complaints
    declared = {}
    expectations: Entries = {}
    for name, variant in values.items():
        declared[name] = [
            Setting(path, reading.keys["variants", name, "set", path].place, value)
            for path, value in variant.get("set", {}).items()
        ]
        if "expect" in variant:
            key = reading.keys["variants", name, "expect"]
            expectations[name] = (key, variant["expect"])
    return declared or {ONLY: []}, expectations


def _variant(
    name: str,
    tree: Node,
    changes: list[Setting],
    systems: Mapping[str, System],
    complaints: list[Complaint],
) -> Variant:
    for change in changes:
        try:
            tree = change.apply(tree)
        except NoSuchPath as error:
            complaints.append(error.complaint)
    reading = Reading()
    chosen = _chosen(tree, systems)
    values = schema.scenario(systems, chosen).read(tree, (), reading) or {}
    check(values, reading, chosen)
    complaints += reading.complaints
    plain = {change.path: change.plain() for change in changes}
    return Variant(name, tuple(chosen), values, plain)


def _chosen(tree: Node, systems: Mapping[str, System]) -> Mapping[str, System]:
    """Return the systems that the scenario names; all of them where it names none that exist."""
    if isinstance(tree, nodes.Mapping) and "system" in tree.entries:
        names = schema.system_names(systems).read(tree.entries["system"][1], (), Reading())
        return {name: systems[name] for name in names if name is not None} or systems
    return systems


def _no_scenario(tree: Node | None, shown: str) -> Complaint:
    hint = "a scenario begins like this: system: exchange"
    if tree is None or (isinstance(tree, nodes.Scalar) and not tree.text):
        return nodes.Place(shown, 1, 1).complaint("", "the file holds no scenario", hint)
    return tree.place.complaint("", f"a scenario is a mapping, not {nodes.describe(tree)}", hint)


def _order(complaint: Complaint) -> tuple[bool, int, int, str]:
    on_command_line = complaint.source == COMMAND_LINE
    return on_command_line, complaint.line, complaint.column, complaint.reason


def _name(path: Path) -> str:
    """Return the path under the last ``configs`` directory, else the file's own name."""
    parts = Path.cwd().joinpath(path).with_suffix("").parts
    folders = [at for at, part in enumerate(parts[:-1]) if part == "configs"]
    below = parts[folders[-1] + 1 :] if folders else parts[-1:]
    # The name becomes a directory below the one for runs, and must not lead out of it.
    return "/".join(re.sub(r"[^A-Za-z0-9_-]", "_", part) for part in below)
