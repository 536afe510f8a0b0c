"""Remove what dead runs left behind, and nothing else."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping

from common import names
from common.errors import KernelObjectError
from common.kernel.ledger import remove_directory
from common.kernel.leftovers import remove_dead
from common.system import System
from common.verbs.ps import ledger_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``clean`` takes."""
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def execute(arguments: argparse.Namespace, systems: Mapping[str, System]) -> int:
    """Remove the objects of every dead run of this user, by its ledger.

    A directory goes when nothing that its run may have made is left: not when its ledger cannot
    be read to the end.
    """
    removed = []
    alive = 0
    for directory in names.runtime_directories():
        state = ledger_of(directory)
        if names.maker_lives(directory) if state is None else state.alive:
            alive += 1
            continue
        # Only now that nobody writes it any more is it known to be whole.
        state = ledger_of(directory)
        said = remove_dead(state) if state is not None else []
        if not any(sentence.startswith("left") for sentence in said):
            try:
                remove_directory(directory)
                said += [f"removed directory {directory}"] if state is None else []
            except KernelObjectError as error:
                said.append(f"left {error.message}")
        removed += said
    if arguments.json:
        print(json.dumps({"removed": removed, "alive": alive}, indent=2))
        return 0
    for line in removed:
        print(line)
    left_alone = f"; {alive} live run{'s' if alive != 1 else ''} left alone" if alive else ""
    count = sum(line.startswith("removed") for line in removed)
    print(f"{count} objects of dead runs removed{left_alone}")
    return 0
