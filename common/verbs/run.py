"""Run scenarios: one variant each, judged, with its evidence."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common import pipeline, runs
from common.errors import UsageError
from common.process.supervise import Onlooker
from common.report import text
from common.report.document import exit_status, printed, worst
from common.report.progress import Progress
from common.scenario.load import Scenario, load
from common.scenario.plan import Plan, plan
from common.scenario.schedule import Schedule, Token, read_token
from common.system import System, operations_of


def add_places(parser: argparse.ArgumentParser) -> None:
    """Add what every verb takes that starts processes: changed values, and where to store."""
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="settings",
        help="change one value of the scenario, such as table.store=mmap_file",
    )  # fmt: skip
    runs.add_out(parser)


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add the options that ``run`` and ``compare`` share."""
    parser.add_argument(
        "scenarios",
        nargs="+",
        metavar="SCENARIO",
        help="a YAML file, or the name of a shipped scenario",
    )
    add_places(parser)
    parser.add_argument(
        "--seed", type=int, metavar="N", help="repeat a run's random choices (default: drawn)"
    )
    parser.add_argument("--repeat", type=positive, default=1, metavar="N", help="run N times")
    parser.add_argument(
        "--keep", action="store_true",
        help="leave the kernel objects for ipcs to show; `clean` removes them",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument(
        "--log", choices=("events", "operations", "quiet"),
        help="events: narrate on standard error; operations: also log each operation",
    )  # fmt: skip
    parser.add_argument(
        "--live", action="store_true",
        help="while it runs, show on the terminal what each process does and what is found so far",
    )  # fmt: skip


def positive(word: str) -> int:
    """Return a whole number from 1, for an option; raises ``ArgumentTypeError``."""
    if not word.isdigit() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"{word!r} is not a whole number from 1")
    return int(word)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` takes."""
    add_common(parser)
    parser.add_argument("--variant", help="the variant to run (default: the scenario's first)")
    parser.add_argument(
        "--schedule", metavar="TOKEN|FILE",
        help="force this order of steps: a token that `explore` printed, or a YAML file",
    )  # fmt: skip


def narration(arguments: argparse.Namespace, by_default: str) -> str:
    """Return what the log says on standard error; nothing beside a live table."""
    if arguments.log == "quiet" or arguments.live:
        return "nothing"
    if arguments.log is not None:
        return "all"
    return by_default


def perform(
    planned: Plan,
    systems: Mapping[str, System],
    arguments: argparse.Namespace,
    narrate: str,
    progress: Progress,
) -> dict[str, Any]:
    """Run one plan as the command line asks; returns its document."""
    onlooker = _onlooker(planned, systems) if arguments.live else None
    try:
        return pipeline.perform(
            planned,
            systems,
            arguments.out,
            narrate=narrate,
            log_operations=arguments.log == "operations",
            keep=arguments.keep,
            progress=progress,
            onlooker=onlooker,
        )
    finally:
        progress.clear()


def check_live(arguments: argparse.Namespace) -> None:
    """Refuse ``--live`` where it cannot be drawn; raises ``UsageError``."""
    if not arguments.live:
        return
    from common.report.live.screen import drawable

    if not drawable():
        raise UsageError(
            "--live draws on a terminal, and standard error is none that it can draw on",
            "leave it out, or take --log events",
        )
    if arguments.log in ("events", "operations"):
        raise UsageError(
            f"--live and --log {arguments.log} would write over each other",
            "leave one out; log.jsonl in the run directory has every event",
        )


def _onlooker(planned: Plan, systems: Mapping[str, System]) -> Onlooker:
    # Imported late: only who asked for it pays for it.
    from common.report.live.view import View

    if planned.schedule is not None:
        raise UsageError(
            "--live shows processes that run freely, and this run follows a schedule",
            "leave --live out; `explain` tells such a run step by step",
        )
    layout = next((systems[name].table for name in planned.systems if systems[name].table), None)
    return View(operations_of(list(systems.values())), layout.fields if layout else ())


def load_all(
    arguments: argparse.Namespace, systems: Mapping[str, System], schedule: Path | None = None
) -> list[Scenario]:
    """Load every scenario of the command line; a shipped one may be given by its name alone."""
    return [
        load(shipped(path), systems, arguments.settings, schedule) for path in arguments.scenarios
    ]


def shipped(path: str) -> Path:
    """Return the file that ``path`` means: itself, or the shipped scenario of that name."""
    configs = Path(__file__).resolve().parents[2] / "configs"
    return Path(path) if Path(path).suffix else configs / f"{path}.yaml"


def forced(planned: Plan, token: Token) -> Plan:
    """Return the plan under the schedule of ``token``; raises ``UsageError`` if it has faults."""
    from common.exploration.explore import refuse_faults

    refuse_faults(planned)
    moves = [list(move) for move in token.moves]
    return dataclasses.replace(planned, schedule=Schedule(moves, exact=True))


def _schedule(arguments: argparse.Namespace) -> tuple[Path | None, Token | None]:
    """Return the file, or the token, that ``--schedule`` gives; raises ``UsageError``."""
    given = arguments.schedule
    if given is None:
        return None, None
    if len(given) < 4096 and Path(given).is_file():
        return Path(given), None
    if Path(given).suffix in (".yaml", ".yml"):
        raise UsageError(f"there is no file {given}", "a YAML list of steps, or a token")
    token = read_token(given)
    for name, asked, told in (
        ("variant", arguments.variant, token.variant),
        ("seed", arguments.seed, token.seed),
    ):
        if asked not in (None, told):
            raise UsageError(
                f"the schedule is for {name} {told}, not {asked}", f"leave --{name} out"
            )
    return None, token


def execute(arguments: argparse.Namespace, systems: Mapping[str, System]) -> int:
    """Run every scenario as often as asked; returns the most serious exit status."""
    check_live(arguments)
    file, token = _schedule(arguments)
    loaded = load_all(arguments, systems, file)
    narrate = narration(arguments, "all" if sys.stderr.isatty() else "warnings")
    documents: list[dict[str, Any]] = []
    statuses: list[int] = []
    progress = Progress(running=narrate != "all" and not arguments.live)
    for scenario in loaded:
        for turn in range(arguments.repeat):
            seed = None if arguments.seed is None else arguments.seed + turn
            progress.start(f"{scenario.name} {turn + 1}/{arguments.repeat}")
            if token is None:
                planned = plan(scenario, arguments.variant, seed, systems)
            else:
                planned = forced(plan(scenario, token.variant, token.seed, systems), token)
            document = perform(planned, systems, arguments, narrate, progress)
            documents.append(document)
            statuses.append(exit_status(document))
            if not arguments.json:
                print(text.run_text(document), flush=True)
            if document["interrupted"]:
                break
        if documents[-1]["interrupted"]:
            break
    if arguments.json:
        single = len(loaded) == arguments.repeat == 1
        print(printed(documents[0] if single else {"runs": documents}))
    return worst(statuses)
