"""List the scenarios, and every kind that a scenario can name."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from common import kinds
from common.claims.claim import MECHANISMS
from common.errors import UsageError
from common.report import catalogue
from common.system import System

FAMILIES = catalogue.FAMILIES | {"properties": kinds.PROPERTIES, "mechanisms": MECHANISMS}
LISTED = ("scenarios", "roles", *FAMILIES)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``list`` takes."""
    parser.add_argument(
        "what", nargs="?", metavar="FAMILY", help="only this one: " + ", ".join(LISTED)
    )
    parser.add_argument("kind", nargs="?", metavar="KIND", help="only this one of the family")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument(
        "--markdown", action="store_true", help="print how every mechanism behaves, as a page"
    )


def execute(arguments: argparse.Namespace, systems: Mapping[str, System]) -> int:
    """Print each family with its kinds and their first sentence."""
    if arguments.markdown:
        print(catalogue.markdown())
        return 0
    what, kind = arguments.what, arguments.kind or ""
    if what is not None and what not in LISTED:
        raise UsageError(f"there is no list of {what!r}", kinds.nearest(what, LISTED))
    if what in catalogue.FAMILIES:
        _known(what, kind, kinds.names(catalogue.FAMILIES[what]))
        # One family of mechanisms: with all that is known of each.
        if arguments.json:
            found = [dataclasses.asdict(entry) for entry in catalogue.entries(what, kind)]
            print(json.dumps({what: found}, indent=2))
        else:
            print(catalogue.text(what, kind))
        return 0
    families = {"scenarios": _scenarios(), "roles": _roles(systems)}
    for family, package in FAMILIES.items():
        families[family] = {
            kind: kinds.about(kinds.load(package, kind)) for kind in kinds.names(package)
        }
    if what:
        every = families[what]
        # A role is listed with its system.
        _known(what, kind, [name.rpartition(": ")[2] for name in every])
        chosen = {name for name in every if kind in ("", name, name.rpartition(": ")[2])}
        families = {what: {name: about for name, about in every.items() if name in chosen}}
    if arguments.json:
        print(json.dumps(families, indent=2))
        return 0
    for family, entries in families.items():
        print(family)
        width = max((len(name) for name in entries), default=0)
        for name, about in entries.items():
            print(f"  {name.ljust(width)}  {about}")
    return 0


def _known(what: str, kind: str, names: Iterable[str]) -> None:
    """Raise ``UsageError`` for a kind that the family does not have."""
    names = list(names)
    if kind and kind not in names:
        raise UsageError(f"there is no {kind!r} among the {what}", kinds.nearest(kind, names))


def _roles(systems: Mapping[str, System]) -> dict[str, str]:
    return {
        f"{system.name}: {role}": kinds.about(kinds.load(system.roles, role))
        for system in systems.values()
        for role in kinds.names(system.roles)
    }


def _scenarios() -> dict[str, str]:
    root = Path(__file__).resolve().parents[2] / "configs"
    found = {}
    for path in sorted(root.rglob("*.yaml")):
        lines = path.read_text(encoding="utf-8").splitlines()
        about = [
            line.lstrip("# ") for line in lines if line.startswith("#") and "$schema" not in line
        ]
        found[str(path.relative_to(root).with_suffix(""))] = about[0] if about else ""
    return found
