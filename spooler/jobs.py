"""List the jobs in a spool; hold, release or cancel some, or purge it of those that are over."""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common import names, runs
from common.errors import LabError, StoredRunError, UsageError
from common.history import store
from common.kernel.leftovers import ledger_of
from common.kernel.spool import (
    BY_HAND,
    FINAL,
    HELD,
    PENDING,
    PROCESSING,
    PURGE,
    VERBS,
    journal,
    making,
)
from common.kernel.spool.entry import Entry, pid_of
from common.kernel.spool.spool import Spool
from common.kernel.waits import Wait
from common.kinds import nearest
from common.system import System
from spooler import orders

# Seconds to wait for the spool's lock.
PATIENCE = 10.0
COLUMNS = ("job", "state", "priority", "pages", "tries", "errors", "printer")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``jobs`` takes."""
    parser.add_argument(
        "words", nargs="*", metavar="[RUN] [VERB JOB]",
        help="a run directory or scenario (default: the only run with a spool that is alive), and "
        "hold, release or cancel with a job: `3 of submitter-0`, the name of its file, or `all`; "
        "or purge, which takes away what is over in a spool that no run has (all, or a job)",
    )  # fmt: skip
    runs.add_out(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def execute(arguments: argparse.Namespace, systems: Mapping[str, System]) -> int:
    """List the jobs, or move some; 1 when a job is not in a state in which that goes."""
    words = list(arguments.words)
    wanted = words.pop(0) if words and words[0] not in (*VERBS, PURGE) else None
    run_dir, alive = _find(wanted, arguments.out)
    address = journal.read(run_dir / journal.STORED)[0]["spool"]
    spool = Spool(address, Wait(PATIENCE), f"{BY_HAND} ({os.getpid()})", rings=alive)
    try:
        clerk = orders.Clerk(spool)
        lasting = not address["path"].startswith(f"{run_dir}/")
        if words and words[0] == PURGE:
            _purge(spool, clerk, orders.parse_job(" ".join(words[1:]) or "all"), lasting=lasting)
            return 0
        if words:
            if not alive and not lasting:
                raise UsageError(
                    f"{run_dir} is over, and nobody prints what is in its spool",
                    "a spool with a path outlives its run",
                )
            order = orders.parse(" ".join(words))
            status = _move(spool, clerk, order)
            if alive and VERBS[order.verb][0] == HELD:
                _warn(spool, lasting=lasting)
            return status
        rows = [_row(spool, each) for each in spool.every()]
    finally:
        spool.close()
    if arguments.json:
        print(json.dumps({"run_dir": str(run_dir), "alive": alive, "jobs": rows}, indent=2))
    else:
        _print(rows, run_dir)
    return 0


def _find(wanted: str | None, out: Path) -> tuple[Path, bool]:
    """Return the directory of the run that is meant, and whether it is alive."""
    living = [
        Path(state.header.run_dir)
        for directory in names.runtime_directories()
        if (state := ledger_of(directory)) is not None
        and state.alive
        and (Path(state.header.run_dir) / journal.STORED).is_file()
    ]
    if wanted is None:
        if len(living) != 1:
            what = "no run with a spool is alive" if not living else "several are alive"
            raise UsageError(what, "name one: a run directory, or a scenario that was run")
        return living[0], True
    try:
        run_dir = runs.find(out, wanted)
    except LabError:
        meant = nearest(wanted, (*VERBS, PURGE))
        if not meant.startswith("did"):
            raise
        raise UsageError(f"{wanted!r} is no run, nor done with a job", meant) from None
    planned = store.read_plan(run_dir).spool
    if planned is None:
        raise UsageError(f"{run_dir} is a run without a spool", "one whose scenario has spool:")
    if not (run_dir / journal.STORED).is_file():
        raise StoredRunError(f"{run_dir} has no journal of its spool")
    spool = Path(journal.read(run_dir / journal.STORED)[0]["spool"]["path"])
    if planned.path is None and spool.parent != run_dir:
        raise UsageError(
            f"{run_dir} was copied or moved: the spool of its run is {spool}",
            f"name the run itself, {spool.parent}",
        )
    # An earlier run's spool may be another run's by now.
    return run_dir, run_dir in [living_dir.resolve() for living_dir in living]


def _move(spool: Spool, clerk: orders.Clerk, order: orders.Order) -> int:
    found = clerk.chosen(order.which, spool.every())
    if not found:
        raise UsageError(f"{order.which}: there is none in the spool", "run.py jobs lists them")
    _, possible = VERBS[order.verb]
    if order.which.many:
        found = [each for each in found if each.state in possible]
    status = 0
    for each in found:
        name = _name(clerk, each)
        try:
            before, after = spool.change(each.item, order.verb)
            print(f"{name}: {before.state} -> {after.state}")
        except LabError as error:
            print(error)
            status = 1
    if not found:
        print(f"{order.which}: none is {' or '.join(possible)}")
    return status


def _purge(spool: Spool, clerk: orders.Clerk, which: orders.Which, *, lasting: bool) -> None:
    """Take away the jobs that are over; raises ``UsageError``, and ``ObjectExists`` for a run."""
    if not lasting:
        raise UsageError(
            f"{spool.path} is the spool of one run, and goes with its directory",
            "only a spool with a path outlives its run",
        )
    with making.hold(spool.path):
        found = clerk.chosen(which, spool.every())
        if not found and not which.many:
            raise UsageError(f"{which}: there is none in the spool", "run.py jobs lists them")
        gone = Counter(each.state for each in spool.purge({each.item for each in found}))
    if not gone:
        print(f"{which}: none is {', '.join(FINAL[:-1])} or {FINAL[-1]}")
        return
    told = ", ".join(f"{gone[state]:,} {state}" for state in FINAL if gone[state])
    print(f"purged: {told}")


def _name(clerk: orders.Clerk, entry: Entry) -> str:
    owner, number = clerk.maker(entry)
    return f"job {number} of {owner}" if owner else f"job {entry.item:x}"


def _warn(spool: Spool, *, lasting: bool) -> None:
    """Say so when nothing is left to print: printers wait for no job that a person has held."""
    left = spool.every()
    waiting = any(each.state in (PENDING, PROCESSING) or each.tail for each in left)
    if waiting or not any(each.state == HELD for each in left):
        return
    then = (
        "the next run finds what is held, and it can be released until then"
        if lasting
        else "what is held is never printed (spool.path keeps it for the next run)"
    )
    print(f"nothing is pending: the run ends once its submitters are done, and {then}")


def _row(spool: Spool, entry: Entry) -> dict[str, Any]:
    try:
        body = spool.look_up(entry.item)
    except LabError:
        body = {}
    printer = pid_of(entry.tail) if "." in entry.tail else None
    return {
        "job": f"{body['number']} of {body['owner']}" if {"number", "owner"} <= body.keys()
        else f"{entry.item:x}",
        "file": Path(entry.path).name,
        "state": entry.state,
        "priority": body.get("priority"),
        "pages": body.get("pages"),
        "tries": entry.claims,
        "errors": entry.failures,
        "printer": printer,
    }  # fmt: skip


def _print(rows: list[dict[str, Any]], run_dir: Path) -> None:
    if not rows:
        print(f"the spool of {run_dir} is empty")
        return
    cells = [COLUMNS, *(tuple(_shown(row[name]) for name in COLUMNS) for row in rows)]
    widths = [max(len(line[at]) for line in cells) for at in range(len(COLUMNS))]
    for line in cells:
        print("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip())


def _shown(value: Any) -> str:
    # What a file says may be anything.
    text = "-" if value is None else str(value)
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:60]
