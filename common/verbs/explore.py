"""Walk the orders in which processes can pass their steps, and keep the shortest that does harm."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common import kinds, runs
from common.errors import StoredRunError, UsageError
from common.report.exploration import exploration_document, exploration_text
from common.scenario.load import load
from common.scenario.plan import Expect, Plan, plan
from common.system import System
from common.verbs.run import add_places, shipped

EXPECTED, NOT_EXPECTED, UNDECIDED, BROKEN = 0, 1, 3, 4
STATE, FORMAT = "exploration.json", "concurrency-lab exploration 2"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``explore`` takes."""
    parser.add_argument("scenario", metavar="SCENARIO", help="a YAML file, or a shipped scenario")
    parser.add_argument(
        "--variant", metavar="A,B", help="the variants to explore (default: all of the scenario)"
    )
    parser.add_argument(
        "--strategy", choices=kinds.names("common.exploration.strategies"),
        help="how to choose schedules (default: exhaustive)",
    )  # fmt: skip
    reduction = parser.add_mutually_exclusive_group()
    reduction.add_argument(
        "--reduce", action="store_true", default=None,
        help="exhaustive: walk orders that look alike to all once (default: when there are many)",
    )  # fmt: skip
    reduction.add_argument(
        "--all", dest="reduce", action="store_false", help="exhaustive: walk every order"
    )
    parser.add_argument(
        "--preemptions", type=int, metavar="N",
        help="exhaustive: only schedules with at most N switches away from who could go on",
    )  # fmt: skip
    parser.add_argument(
        "--depth", type=int, metavar="D",
        help="pct: the depth of the bugs to look for (default: 3)",
    )  # fmt: skip
    parser.add_argument(
        "--schedules", type=int, default=10_000, metavar="N", help="stop after so many schedules"
    )
    parser.add_argument(
        "--seconds", type=float, default=60.0, metavar="S", help="stop after so many seconds"
    )
    parser.add_argument("--resume", metavar="DIR", help="go on where a stored exploration stopped")
    parser.add_argument("--seed", type=int, metavar="N", help="of amounts and of random schedules")
    add_places(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def execute(arguments: argparse.Namespace, systems: Mapping[str, System]) -> int:
    """Explore the variants one after another; returns the most serious exit status."""
    for name in ("schedules", "seconds", "depth"):
        given = getattr(arguments, name)
        # Not a number (nan) is not more than 0 either.
        if given is not None and not given > 0:
            raise UsageError(f"--{name} {given} walks nothing", "more than 0")
    _check_options(arguments)
    if arguments.preemptions is not None and arguments.preemptions < 0:
        raise UsageError("--preemptions is negative", "0 or more")
    stored = _stored(arguments)
    documents = []
    for planned in _plans(arguments, systems):
        document = _explore(planned, arguments, systems, stored)
        documents.append(document)
        if not arguments.json:
            print(exploration_text(document), flush=True)
        if document["interrupted"]:
            break
    if arguments.json:
        variants = {document["variant"]: document for document in documents}
        print(json.dumps({"scenario": documents[0]["scenario"], "variants": variants}, indent=2))
    return max((_status(document) for document in documents), key=_gravity)


def _check_options(arguments: argparse.Namespace) -> None:
    """Refuse options that would have no effect."""
    strategy = arguments.strategy or "exhaustive"
    for name, given, owner in (
        ("--all or --reduce", arguments.reduce is not None, "exhaustive"),
        ("--preemptions", arguments.preemptions is not None, "exhaustive"),
        ("--depth", arguments.depth is not None, "pct"),
    ):
        if given and strategy != owner and arguments.resume is None:
            raise UsageError(f"{name} means nothing to --strategy {strategy}", f"only to {owner}")
    if arguments.preemptions is not None and arguments.reduce:
        raise UsageError("a bound on preemptions is walked without reduction", "leave --reduce out")


def _plans(arguments: argparse.Namespace, systems: Mapping[str, System]) -> list[Plan]:
    scenario = load(shipped(arguments.scenario), systems, arguments.settings)
    names = arguments.variant.split(",") if arguments.variant else list(scenario.variants)
    first = plan(scenario, names[0], arguments.seed, systems)
    # The same amounts in every variant.
    return [plan(scenario, name, first.seed, systems) for name in names]


def _explore(
    planned: Plan,
    arguments: argparse.Namespace,
    systems: Mapping[str, System],
    saved: dict[str, Any] | None,
) -> dict[str, Any]:
    # Imported late: judging brings numpy, which the list of verbs must not wait for.
    from common.exploration.explore import Budget, explore
    from common.exploration.strategies import Options
    from common.exploration.walking import Walk

    def show(walk: Walk) -> None:
        found = ", ".join(f"{kind} {f.schedules:,}" for kind, f in walk.found.items())
        line = f"{planned.scenario} {planned.variant}: {walk.walked:,} schedules {found}"
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)

    of = _of(planned, arguments)
    if saved is not None and of["plan"] != saved["of"]["plan"]:
        raise UsageError(
            f"the exploration in {arguments.resume} was of another scenario, or of other settings",
            "give the same --set, or begin a new one without --resume",
        )
    run_dir = runs.make_exploration(arguments.out, planned.scenario)
    on_terminal = sys.stderr.isatty()
    explored = explore(
        planned,
        systems,
        run_dir,
        # A table's file that outlives a run is not for walks, which write over it again and again.
        run_dir,
        arguments.strategy or "exhaustive",
        Options(preemptions=arguments.preemptions, depth=arguments.depth or 3, seed=planned.seed),
        Budget(arguments.schedules, arguments.seconds),
        reduce=arguments.reduce,
        saved=saved,
        progress=show if on_terminal else None,
    )
    if on_terminal:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    document = exploration_document(explored, run_dir)
    document["given"] = arguments.settings
    state: dict[str, Any] = {"format": FORMAT, "document": document}
    if explored.saved is not None:
        saved = {"of": of, "reduced": explored.reduced, **explored.saved}
        state |= {"saved": saved, "digest": _digest(saved)}
    try:
        (run_dir / STATE).write_text(json.dumps(state))
    except OSError as error:
        # What was found is told all the same.
        print(f"{run_dir / STATE} cannot be written: {error.strerror}", file=sys.stderr)
    return document


def _of(planned: Plan, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what a walk is of: to go on, all of it must be the same."""
    # Neither where the scenario lies nor what it promises changes a schedule.
    same = dataclasses.replace(planned, source="", settings={}, expect=Expect(), schedule=None)
    return {
        "variant": planned.variant,
        "seed": planned.seed,
        "strategy": arguments.strategy or "exhaustive",
        "depth": arguments.depth,
        "preemptions": arguments.preemptions,
        "plan": _digest(dataclasses.asdict(same)),
    }


def _digest(document: dict[str, Any]) -> str:
    text = json.dumps(document, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _stored(arguments: argparse.Namespace) -> dict[str, Any] | None:
    """Return what is needed to go on, and have ``arguments`` ask for the walk that it is of.

    None when a new one is to be begun. Raises ``StoredRunError`` and ``UsageError``.
    """
    if arguments.resume is None:
        return None
    path = Path(arguments.resume) / STATE
    try:
        state = json.loads(path.read_text())
        saved: dict[str, Any] | None = state.get("saved")
        if state["format"] != FORMAT or (saved and state["digest"] != _digest(saved)):
            raise ValueError("it was changed, or is of another version")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StoredRunError(f"{path} is no stored exploration: {error}") from None
    if saved is None:
        raise UsageError(f"{arguments.resume} is complete: nothing is left to walk")
    for name in ("variant", "seed", "strategy", "depth", "preemptions"):
        begun = saved["of"][name]
        if getattr(arguments, name) not in (None, begun):
            told = "without it" if begun is None else f"with {begun}"
            raise UsageError(f"--{name}: this walk was begun {told}", "leave it out")
        setattr(arguments, name, begun)
    asked = arguments.reduce
    if asked not in (None, saved["reduced"]):
        raise UsageError(
            f"--{'reduce' if asked else 'all'}: this walk was begun the other way", "leave it out"
        )
    return saved


def _status(document: dict[str, Any]) -> int:
    if document["interrupted"]:
        return 128 + int(document["interrupted"])
    if document["leaks"] or document["broken"]:
        return BROKEN
    found, expected = set(document["findings"]), document["expected"]
    if document["undecided"] or document["unrepeatable"]:
        return UNDECIDED
    whole = document["complete"] and not document["ends"]
    if expected["verdict"] == "valid":
        if found:
            return NOT_EXPECTED
        return EXPECTED if whole else UNDECIDED
    wanted, some = set(expected["findings"]), set(expected["any"])
    if wanted <= found and (not some or some & found):
        return EXPECTED
    return NOT_EXPECTED if whole else UNDECIDED


def _gravity(status: int) -> int:
    order = [EXPECTED, UNDECIDED, NOT_EXPECTED, BROKEN]
    return order.index(status) if status in order else status
