"""List the scenarios, and every kind that a scenario can name."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

from common import kinds
from common.system import System

FAMILIES = {
    "locks": kinds.LOCKS,
    "tables": kinds.TABLES,
    "channels": kinds.CHANNELS,
    "properties": kinds.PROPERTIES,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``list`` takes."""
    parser.add_argument(
        "what", nargs="?", choices=["scenarios", "roles", *FAMILIES], help="only this family"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def execute(arguments: argparse.Namespace, systems: Mapping[str, System]) -> int:
    """Print each family with its kinds and their first sentence."""
    families = {"scenarios": _scenarios(), "roles": _roles(systems)}
    for family, package in FAMILIES.items():
        families[family] = {
            kind: kinds.about(kinds.load(package, kind)) for kind in kinds.names(package)
        }
    if arguments.what:
        families = {arguments.what: families[arguments.what]}
    if arguments.json:
        print(json.dumps(families, indent=2))
        return 0
    for family, entries in families.items():
        print(family)
        width = max((len(name) for name in entries), default=0)
        for name, about in entries.items():
            print(f"  {name.ljust(width)}  {about}")
    return 0


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
