"""End and remove what dead runs left behind, and nothing else."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping

from common import names
from common.kernel import leftovers, rooms
from common.system import System


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``clean`` takes."""
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def execute(arguments: argparse.Namespace, systems: Mapping[str, System]) -> int:
    """End the processes and remove the objects of every dead run of this user, by its ledger."""
    said = []
    alive = 0
    for directory in names.runtime_directories():
        done = leftovers.clean(directory)
        if done is None:
            alive += 1
        else:
            said += done
    said += [rooms.clean(left) for left in rooms.rooms() if not left.alive]
    ended = [line for line in said if line.startswith("ended")]
    rest = [line for line in said if line not in ended]
    if arguments.json:
        print(json.dumps({"removed": rest, "ended": ended, "alive": alive}, indent=2))
        return 0
    for line in said:
        print(names.printable(line))
    left_alone = f"; {alive} live run{'s' if alive != 1 else ''} left alone" if alive else ""
    processes = f"{len(ended)} process{'es' if len(ended) != 1 else ''} ended, " if ended else ""
    count = sum(line.startswith("removed") for line in rest)
    print(f"{processes}{count} objects of dead runs removed{left_alone}")
    return 0
