"""Say what this machine can run, what it cannot and why, and what to change."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from common import names, runs
from common.errors import ScenarioError
from common.kernel import facilities, limits, readings, rooms, small_disk
from common.kernel.leftovers import ledger_of
from common.names import printable
from common.process import injection, jobs
from common.scenario.load import load
from common.scenario.plan import Plan, plan
from common.system import System
from common.verbs.run import shipped

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
CANNOT = 4
MOUNT = "sudo, or unshare --user --map-root-user --mount before the command"
# The value in a command such as `ulimit -n 256` or `sysctl kernel.sem="32000 32000 500 64"`.
NUMBER = re.compile(r"(?<=[ =])(\d+)(?=\"?$)")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``doctor`` takes."""
    parser.add_argument(
        "scenarios", nargs="*", metavar="SCENARIO",
        help="look at these instead of all that are shipped",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, default=runs.OUT, metavar="DIR",
        help="where runs would be stored (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def execute(arguments: argparse.Namespace, systems: Mapping[str, System]) -> int:
    """Print what was found; 0 when every scenario can run here, else 4. Nothing is started."""
    named = [shipped(path) for path in arguments.scenarios]
    paths = named or sorted(CONFIGS.rglob("*.yaml"))
    scenarios = [
        entry for path in paths for entry in _scenario(path, systems, arguments.out, bool(named))
    ]
    document = {
        "machine": facilities.here(),
        "limits": [asdict(reading) for reading in readings.all_of(arguments.out)],
        "built_in": [asdict(facility) for facility in facilities.all_of()],
        "scenarios": scenarios,
        "to_change": _to_change(scenarios),
        "leftovers": _leftovers(),
    }
    if arguments.json:
        print(json.dumps(document, indent=2))
    else:
        for line in _lines(document):
            print(printable(line))
    return 0 if all(entry["can_run"] for entry in scenarios) else CANNOT


def _scenario(
    path: Path, systems: Mapping[str, System], out: Path, named: bool
) -> list[dict[str, Any]]:
    """Return whether each variant can run here, and what keeps it from it."""
    try:
        scenario = load(path, systems)
    except ScenarioError as error:
        if named:
            raise
        # What the machine's limits make impossible is complained of at its place in the file.
        name = str(path.relative_to(CONFIGS).with_suffix(""))
        return [_entry(name, "", [f"{c.reason}; mend: {c.hint}" for c in error.complaints])]
    return [
        _entry(scenario.name, variant, _why(plan(scenario, variant, 1, systems), systems, out))
        for variant in scenario.variants
    ]


def _entry(scenario: str, variant: str, sentences: list[str]) -> dict[str, Any]:
    why = []
    for sentence in sentences:
        said, _, mend = sentence.partition("; mend: ")
        why.append({"reason": said, "mend": mend})
    return {"scenario": scenario, "variant": variant, "can_run": not why, "why": why}


def _why(planned: Plan, systems: Mapping[str, System], out: Path) -> list[str]:
    try:
        short = jobs.shortages(planned, systems, out / planned.scenario)
    except OSError as error:
        short = [f"this machine does not say what it has: {error.strerror} ({error.filename})"]
    if injection.disk_needed(planned) and not small_disk.allowed():
        short.append(f"a small disk cannot be had: mount(2) is not permitted; mend: {MOUNT}")
    return short + limits.short_of_socket_path() + limits.unwritable(out)


def _to_change(scenarios: list[dict[str, Any]]) -> list[str]:
    """Return each command once, with the greatest value that any scenario needs."""
    most: dict[str, tuple[int, str]] = {}
    for mend in (why["mend"] for entry in scenarios for why in entry["why"] if why["mend"]):
        found = NUMBER.search(mend)
        value = int(found[1]) if found else 0
        command = NUMBER.sub("", mend)
        most[command] = max(most.get(command, (0, mend)), (value, mend))
    return [mend for _value, mend in most.values()]


def _leftovers() -> list[dict[str, Any]]:
    """Return the runtime directories of dead runs: what ``clean`` would see to."""
    found = []
    for directory in names.runtime_directories():
        state = ledger_of(directory)
        if names.maker_lives(directory) if state is None else state.alive:
            continue
        scenario = "unknown" if state is None else state.header.scenario
        kept = state is not None and state.kept
        found.append({"directory": str(directory), "scenario": scenario, "kept": kept})
    for room in rooms.rooms():
        if not room.alive:
            found.append({"directory": str(room.directory), "scenario": "a grading", "kept": False})
    return found


def _lines(document: dict[str, Any]) -> list[str]:
    machine = document["machine"]
    lines = [
        f"Python {machine['python']}, {machine['kernel']}, {machine['cores']} cores; "
        f"up for {machine['uptime_s']} s: stamps are {machine['stamps']}",
        "",
        "Limits",
    ]
    width = max(len(reading["name"]) for reading in document["limits"])
    for reading in document["limits"]:
        held = _held(reading["value"], reading["used"])
        lines.append(f"  {reading['name']:<{width}}  {held:>26}  {reading['allows']}")
    lines += ["  (--json has the command that raises each)", "", "What is built in"]
    for facility in document["built_in"]:
        there = "yes" if facility["there"] else "no "
        says = f"  {facility['says']}" if facility["says"] else ""
        wanted = "" if facility["there"] else f"; wanted by {facility['needed']}"
        lines.append(f"  {there} {facility['name']}{says}{wanted}")
    lines += ["", *_verdict(document["scenarios"])]
    if document["to_change"]:
        lines += ["", "To change", *(f"  {mend}" for mend in document["to_change"])]
    lines.append("")
    for left in document["leftovers"]:
        how = "was left to be looked at (--keep)" if left["kept"] else "was left by a dead run"
        lines.append(f"{left['directory']} of {left['scenario']} {how}: `run.py clean` removes it")
    if not document["leftovers"]:
        lines.append("no dead run left anything behind")
    return lines


def _held(value: int | None, used: int | None) -> str:
    if value is None:
        return "-"
    return str(value) if used is None else f"{used} of {value}"


def _verdict(scenarios: list[dict[str, Any]]) -> list[str]:
    count = len({entry["scenario"] for entry in scenarios})
    lines = []
    for entry in scenarios:
        for why in entry["why"]:
            variant = f" ({entry['variant']})" if entry["variant"] else ""
            lines.append(f"  {entry['scenario']}{variant}: {why['reason']}")
    if not lines:
        return [f"All {count} scenarios, {len(scenarios)} variants, can run here"]
    # Where a whole file cannot be read, several of its places may say the same.
    lines = list(dict.fromkeys(lines))
    able = sum(entry["can_run"] for entry in scenarios)
    return [f"{able} of {len(scenarios)} variants can run here; what cannot, and why:", *lines]
