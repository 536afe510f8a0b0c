"""List live and dead runs, their kernel objects, and the commands that show each."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common import names
from common.errors import StoredRunError
from common.kernel import rooms, survivors
from common.kernel.existing import shown
from common.kernel.ledger import LedgerState, read_ledger
from common.kernel.leftovers import commands
from common.names import printable
from common.system import System


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``ps`` takes."""
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def execute(arguments: argparse.Namespace, systems: Mapping[str, System]) -> int:
    """Print every run that has a runtime directory, also one whose ledger cannot be read."""
    runs = [_run(directory) for directory in names.runtime_directories()]
    graders = [
        {"directory": str(each.directory), "pid": each.pid, "alive": each.alive}
        for each in rooms.rooms()
    ]
    if arguments.json:
        print(json.dumps({"runs": runs, "graders": graders}, indent=2))
        return 0
    if not runs and not graders:
        print("no run is alive, and no dead run left anything behind")
    for run in runs:
        for line in _lines(run):
            print(printable(line))
    for grader in graders:
        print(f"grading  grader {grader['pid']}  ({_state(grader)})")
        print(printable(f"  directory {grader['directory']}"))
    return 0


def _state(of: dict[str, Any]) -> str:
    return "alive" if of["alive"] else "dead; `run.py clean` removes what it left"


def _lines(run: dict[str, Any]) -> list[str]:
    lines = [
        f"{run['scenario']}  launcher {run['pid']}  ({_state(run)})",
        f"  run directory {run['run_dir']}",
    ]
    if run["problem"]:
        lines.append(f"  {run['problem']}")
    for process in run["processes"]:
        lines.append(f"  process {process['pid']}  {process['name']}")
    for entry in run["objects"]:
        lines.append(f"  {entry['kind']:<10} {entry['name']!s:<28} {entry['command']}")
    return lines


def _run(directory: Path) -> dict[str, Any]:
    try:
        return _describe(read_ledger(directory))
    except StoredRunError as error:
        return {
            "scenario": "unknown",
            "run_dir": "unknown",
            "pid": names.maker_pid(directory),
            "alive": names.maker_lives(directory),
            "directory": str(directory),
            "problem": error.message,
            "processes": [],
            "objects": [],
        }


def _describe(state: LedgerState) -> dict[str, Any]:
    return {
        "scenario": state.header.scenario,
        "run_dir": state.header.run_dir,
        "pid": state.header.pid,
        "uid": state.header.uid,
        "since": state.header.at,
        "alive": state.alive,
        "directory": str(state.directory),
        "problem": state.problem,
        "processes": _processes(state),
        "objects": [
            {
                "kind": e.kind,
                "name": shown(e.name),
                "id": e.id,
                "at": e.at,
                "command": commands(e),
            }
            for e in state.entries
            if e.state != "gone"
        ],
    }


def _processes(state: LedgerState) -> list[dict[str, Any]]:
    living = {
        process.pid: {"name": process.name, "pid": process.pid, "start": process.start}
        for process in state.processes
        if names.start_time(process.pid) == process.start
    }
    # Of a dead run also who was not started by it, but by those that it had started.
    for one in survivors.of_dead(state)[0]:
        started = {"name": f"started by {one.of}", "pid": one.pid, "start": one.start}
        living.setdefault(one.pid, started)
    return list(living.values())
