"""Be the scheduler: choose at each turn which process goes on, and see what comes of it."""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
from collections.abc import Mapping
from types import FrameType
from typing import NoReturn

from common import pipeline
from common.kernel.waits import TICK
from common.process.interrupts import SIGNALS
from common.report import text
from common.report.document import exit_status
from common.report.exploration import command
from common.scenario.load import load
from common.scenario.plan import plan
from common.scenario.schedule import Token, write_token
from common.system import System, operations_of
from common.verbs.run import add_places, shipped


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``play`` takes."""
    parser.add_argument("scenario", metavar="SCENARIO", help="a YAML file, or a shipped scenario")
    parser.add_argument("--variant", help="the variant to play (default: the scenario's first)")
    parser.add_argument(
        "--predict", action="store_true",
        help="hide the values: say what each step will read or write before it does",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, metavar="N", help="of the amounts")
    add_places(parser)


def execute(arguments: argparse.Namespace, systems: Mapping[str, System]) -> int:
    """Play one run; returns its exit status."""
    # Imported late: what looks at the records brings numpy.
    from common.exploration.explore import refuse_unwalkable
    from common.exploration.playing import Game

    scenario = load(shipped(arguments.scenario), systems, arguments.settings)
    planned = plan(scenario, arguments.variant, arguments.seed, systems)
    refuse_unwalkable(planned)
    layout = next((systems[name].table for name in planned.systems if systems[name].table), None)
    fields = layout.fields if layout else ()
    operations = operations_of(list(systems.values()))
    game = Game(planned, operations, fields, ask, say, predict=arguments.predict)
    document = pipeline.perform(planned, systems, arguments.out, lead=game)
    say("")
    say(text.run_text(document))
    token = write_token(Token(planned.variant, planned.seed, game.moves))
    again = command("run", scenario.source, arguments.settings, schedule=token)
    say(f"  play it again: {again}")
    return exit_status(document)


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


def ask(prompt: str) -> str | None:
    """Return the person's answer; None at the end of input, on Ctrl-C and on SIGTERM."""
    # While the run goes on a signal only counts; here it must end the question.
    before = {number: signal.signal(number, _end) for number in SIGNALS}
    try:
        return _typed(prompt) if sys.stdin.isatty() else _piped(prompt)
    except (EOFError, KeyboardInterrupt):
        say("")
        return None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _typed(prompt: str) -> str:
    print(prompt, end="", flush=True)
    terminal = sys.stdin.fileno()
    # A signal just before the call would not end a wait without limit (as input() waits).
    while not select.select([terminal], [], [], TICK)[0]:
        pass
    line = os.read(terminal, 4096)
    if not line:
        raise EOFError
    return line.decode(errors="replace")


def _piped(prompt: str) -> str:
    line = sys.stdin.buffer.readline().decode(errors="replace")
    if not line:
        raise EOFError
    say(f"{prompt}{line.rstrip()}")
    return line
