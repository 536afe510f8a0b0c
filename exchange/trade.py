"""Join a running exchange as one more teller, from the keyboard."""

from __future__ import annotations

import argparse
import cmd
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from common import names
from common.errors import LabError, ObjectVanished, ProcessError, StoredRunError, UsageError
from common.history import store
from common.history.recorder import Recorder
from common.kernel.ledger import LedgerState
from common.kernel.leftovers import ledger_of
from common.process.context import Context
from common.process.reports import Reporter
from common.system import System
from exchange.desk import Desk
from exchange.layout import BALANCE, FIELDS, ROWS, WIDTH
from exchange.lines import VERBS, parse

ANSWER_SECONDS = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``trade`` takes."""
    parser.add_argument(
        "run", nargs="?", metavar="RUN",
        help="run directory or scenario of a running exchange (default: the only one)",
    )  # fmt: skip


def execute(arguments: argparse.Namespace, systems: Mapping[str, System]) -> int:
    """Trade until the end of input, ``quit``, or until the exchange closes."""
    state = _running(arguments.run)
    report = next(entry for entry in state.entries if entry.kind == "socket")
    reporter = Reporter(str(report.name))
    reporter.send("join", role="teller", system="exchange")
    job = reporter.receive(ANSWER_SECONDS)
    if job is None or job["type"] != "job":
        raise ProcessError("the exchange does not answer", "is it closing?")
    recorder = Recorder(Path(job["record"]), job["name"], "teller", job["index"], 256)
    context = Context(job, recorder, reporter)
    counter = Counter(context, Desk(context, BALANCE), reporter, sys.stdin, sys.stdout)
    reporter.send("ready")
    try:
        counter.cmdloop()
    except KeyboardInterrupt:
        print()
    finally:
        counter.report()
        context.close()
        reporter.close()
    return 0


def _running(wanted: str | None) -> LedgerState:
    """Return the ledger of the running exchange that ``wanted`` names; raises ``UsageError``."""
    running = []
    for directory in names.runtime_directories():
        state = ledger_of(directory)
        if state and state.alive and _is_exchange(Path(state.header.run_dir)):
            running.append(state)
    if wanted is not None:
        places = {wanted, str(Path(wanted).resolve())}
        running = [s for s in running if places & {s.header.scenario, s.header.run_dir}]
    if not running:
        raise UsageError(
            "no exchange is open" + (f" as {wanted}" if wanted else ""),
            "start one: run.py configs/exchange/open_for_business.yaml",
        )
    if len(running) > 1:
        choices = ", ".join(str(state.header.run_dir) for state in running)
        raise UsageError("several runs are alive", f"name one of {choices}")
    return running[0]


def _is_exchange(run_dir: Path) -> bool:
    try:
        return store.read_plan(run_dir).table is not None
    except StoredRunError:
        return False


class Counter(cmd.Cmd):
    """The lecture's input loop: prompt, history (arrow keys), help, the balance after each line."""

    intro = "You are a teller with a balance of 1000. Try `buy EURO 10`, `table`, `help`, `quit`."

    def __init__(
        self, context: Context, desk: Desk, reporter: Reporter, source: TextIO, target: TextIO
    ) -> None:
        super().__init__(stdin=source, stdout=target)
        self.use_rawinput = source.isatty()
        self.prompt = f"{context.name}> " if source.isatty() else ""
        self._desk = desk
        self._reporter = reporter
        self._cells = context.table().cells
        self._item = context.item
        self._sequence = 0

    def onecmd(self, line: str) -> bool:
        """Run one line; an error is one sentence, and the loop goes on."""
        told = self._reporter.receive(0.0)
        if told is not None and told["type"] == "closing":
            self._say("the exchange has closed")
            return True
        try:
            return bool(super().onecmd(line))
        except ObjectVanished:
            self._say("the exchange has closed")
            return True
        except LabError as error:
            self._say(str(error))
            return False

    def get_names(self) -> list[str]:
        """Return what ``help`` may list: everything but the end of input."""
        return [name for name in super().get_names() if name != "do_EOF"]

    def emptyline(self) -> bool:
        """Do nothing for an empty line."""
        return False

    def default(self, line: str) -> None:
        """Take an order in capitals; refuse what is not a command."""
        # Capitals are no reason to refuse; anything else is told what it should have been.
        order = parse(line)
        self._trade(f"{'buy' if order.buying else 'sell'} {ROWS[order.row]} {order.amount:.0f}")

    def do_buy(self, rest: str) -> None:
        """`buy CURRENCY AMOUNT`: the office buys; the balance pays, the stock grows."""
        self._trade(f"buy {rest}")

    def do_sell(self, rest: str) -> None:
        """`sell CURRENCY AMOUNT`: the office sells; the balance grows, the stock shrinks."""
        self._trade(f"sell {rest}")

    def do_table(self, _rest: str) -> None:
        """`table`: the four rows as they are now."""
        self._say(f"{'':<8}" + "".join(f"{field:>14}" for field in FIELDS))
        for at, row in enumerate(ROWS):
            cells = self._cells[at * WIDTH : (at + 1) * WIDTH].tolist()
            self._say(f"{row:<8}" + "".join(f"{value:>14,.4f}" for value in cells))

    def do_balance(self, _rest: str) -> None:
        """`balance`: your money."""
        self._say(f"balance {self._desk.balance:.4f}")

    def do_quit(self, _rest: str) -> bool:
        """`quit`: leave the exchange; so does the end of input."""
        return True

    def do_EOF(self, _rest: str) -> bool:  # noqa: N802
        """Leave at the end of input."""
        self._say("")
        return True

    def completenames(self, text: str, *ignored: Any) -> list[str]:
        """Complete the commands, without the end of input."""
        commands = (*VERBS, "table", "balance", "help", "quit")
        return [name for name in commands if name.startswith(text)]

    def completedefault(self, text: str, *ignored: Any) -> list[str]:
        """Complete the currencies."""
        return [row for row in ROWS if row.startswith(text.upper())]

    def report(self) -> None:
        """Tell the launcher the balance, for its judgement."""
        self._reporter.send(
            "summary", summary={"balance": self._desk.balance, "done": self._sequence}
        )

    def _trade(self, text: str) -> None:
        line = parse(text)
        self._sequence += 1
        done = self._desk.trade(line.buying, line.row, line.amount, self._item(self._sequence))
        reason = "your balance is too small" if line.buying else "the stock is too small"
        answer = "done" if done else f"refused: {reason}"
        self._say(f"{answer}; balance {self._desk.balance:.4f}")
        self.report()

    def _say(self, text: str) -> None:
        print(text, file=self.stdout, flush=True)
