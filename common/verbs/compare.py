"""Run a scenario's variants in alternation, or with every lock and table, side by side."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Mapping
from typing import Any

from common.errors import UsageError
from common.report import comparison, text
from common.report.document import exit_status, printed, worst
from common.report.matrix import matrix_text
from common.report.progress import Progress
from common.scenario.load import Scenario
from common.scenario.matrix import axes, cells
from common.scenario.plan import plan
from common.system import System
from common.verbs.run import add_common, check_live, load_all, narration, perform, shipped


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``compare`` takes."""
    add_common(parser)
    parser.add_argument(
        "--variant", metavar="A,B", help="the variants to compare (default: all of the scenario)"
    )
    parser.add_argument(
        "--matrix", metavar="AXES",
        help="instead of variants: every kind of these, of lock, table and channel (lock,table)",
    )  # fmt: skip


def execute(arguments: argparse.Namespace, systems: Mapping[str, System]) -> int:
    """Compare the variants of every scenario; returns the most serious exit status."""
    check_live(arguments)
    if arguments.matrix is not None:
        return _matrix(arguments, systems)
    loaded = load_all(arguments, systems)
    comparisons = []
    statuses = []
    for scenario in loaded:
        variants = _compare(scenario, arguments, systems)
        statuses += [exit_status(run) for entry in variants.values() for run in entry["runs"]]
        stored = comparison.write(
            arguments.out,
            scenario.name,
            {variant: entry["runs"] for variant, entry in variants.items()},
        )
        comparisons.append(
            {"scenario": scenario.name, "compare_dir": str(stored), "variants": variants}
        )
        if not arguments.json:
            print(text.comparison_text(scenario.name, variants))
            print(f"the comparison is stored in {stored}", flush=True)
        if any(status >= 128 for status in statuses):
            break
    if arguments.json:
        single = len(loaded) == 1
        print(printed(comparisons[0] if single else {"comparisons": comparisons}))
    return worst(statuses)


def _matrix(arguments: argparse.Namespace, systems: Mapping[str, System]) -> int:
    """Run every scenario with every combination of kinds; returns the most serious exit status."""
    if arguments.variant:
        raise UsageError("a matrix takes the place of the variants", "leave --variant out")
    named = axes(arguments.matrix)
    every = {path: cells(shipped(path), systems, arguments.settings, named)
             for path in arguments.scenarios}  # fmt: skip
    narrate = narration(arguments, "warnings")
    progress = Progress(running=narrate != "all" and not arguments.live)
    documents = []
    statuses: list[int] = []
    for combinations in every.values():
        possible = [cell for cell in combinations if not cell.refused]
        first = possible[0].planned(arguments.seed).seed
        found: list[dict[str, Any]] = [
            {"kinds": cell.kinds, "variant": cell.variant, "runs": []} for cell in possible
        ]
        refused = [
            {"kinds": cell.kinds, "why": cell.refused} for cell in combinations if cell.refused
        ]
        # In turns, as variants are: a machine that slows down slows all of them.
        for turn, at in itertools.product(range(arguments.repeat), range(len(found))):
            planned = possible[at].planned(first + turn)
            words = " ".join(found[at]["kinds"].values())
            progress.start(f"{planned.scenario} {words} {turn + 1}/{arguments.repeat}")
            document = perform(planned, systems, arguments, narrate, progress)
            found[at]["runs"].append(document)
            statuses.append(exit_status(document))
            if document["interrupted"]:
                break
        ran = [cell for cell in found if cell["runs"]]
        name = ran[0]["runs"][0]["scenario"]
        document = {"scenario": name, "axes": named, "cells": ran, "refused": refused}
        documents.append(document)
        if not arguments.json:
            print(matrix_text(name, named, ran, refused), flush=True)
        if any(status >= 128 for status in statuses):
            break
    if arguments.json:
        print(printed(documents[0] if len(every) == 1 else {"matrices": documents}))
    return worst(statuses)


def _compare(
    scenario: Scenario, arguments: argparse.Namespace, systems: Mapping[str, System]
) -> dict[str, Any]:
    chosen = arguments.variant.split(",") if arguments.variant else list(scenario.variants)
    narrate = narration(arguments, "warnings")
    progress = Progress(running=narrate != "all" and not arguments.live)
    first = plan(scenario, chosen[0], arguments.seed, systems).seed
    # Every variant of one turn has the same seed: the same trades, with and without the lock.
    plans = [
        (variant, turn, plan(scenario, variant, first + turn, systems))
        for turn in range(arguments.repeat)
        for variant in chosen
    ]
    runs: dict[str, list[dict[str, Any]]] = {variant: [] for variant in chosen}
    for variant, turn, planned in plans:
        progress.start(f"{scenario.name} {variant} {turn + 1}/{arguments.repeat}")
        document = perform(planned, systems, arguments, narrate, progress)
        runs[variant].append(document)
        if document["interrupted"]:
            break
    return {
        variant: {"runs": documents, "summary": text.summary(documents)}
        for variant, documents in runs.items()
        if documents
    }
