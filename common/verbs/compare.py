"""Run a scenario's variants in alternation and set them side by side."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from common.report import comparison, text
from common.report.document import exit_status, worst
from common.report.progress import Progress
from common.scenario.load import Scenario
from common.scenario.plan import plan
from common.system import System
from common.verbs.run import add_common, check_live, load_all, narration, perform


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``compare`` takes."""
    add_common(parser)
    parser.add_argument(
        "--variant", metavar="A,B", help="the variants to compare (default: all of the scenario)"
    )


def execute(arguments: argparse.Namespace, systems: Mapping[str, System]) -> int:
    """Compare the variants of every scenario; returns the most serious exit status."""
    check_live(arguments)
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
        print(json.dumps(comparisons[0] if single else {"comparisons": comparisons}, indent=2))
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
