"""Remove what dead runs left behind, and nothing else."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping

from common.kernel.objects import remove_dead
from common.system import System
from common.verbs.ps import ledgers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``clean`` takes."""
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def execute(arguments: argparse.Namespace, systems: Mapping[str, System]) -> int:
    """Remove the objects of every dead run of this user, by its ledger."""
    removed = []
    alive = 0
    for state in ledgers():
        if state.alive:
            alive += 1
            continue
        removed += remove_dead(state)
    if arguments.json:
        print(json.dumps({"removed": removed, "alive": alive}, indent=2))
        return 0
    for line in removed:
        print(f"removed {line}")
    left_alone = f"; {alive} live run{'s' if alive != 1 else ''} left alone" if alive else ""
    print(f"{len(removed)} objects of dead runs removed{left_alone}")
    return 0
