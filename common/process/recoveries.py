"""The launcher's part in recovery: makes the intent record, is the last to look, tells what was.

When every process has ended the launcher has the table to itself: what a dead owner left that
nobody came after is ended by it. What was recovered in a run becomes a history of its own, so that
the judge explains these writes as any others.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import kinds
from common.errors import KernelObjectError, NotPermitted, ObjectVanished
from common.history import record
from common.history.operations import Effect, Operation
from common.history.outcome import Outcome, ProcessOutcome
from common.history.recorder import Recorder
from common.kernel.intents import SPACE, Intents, place
from common.kernel.recovery import Recovery

if TYPE_CHECKING:
    from common.scenario.plan import Plan

NAME = "recovery"
# Behind the index of any process.
INDEX = 0xFFFF
LAUNCHER = "the launcher"

# What a recovery changed: effect, sign, row, item and the values of a record.
_Values = tuple[float, float, float, float, float]
_Line = tuple[Effect, int, int, int, _Values]
_Told = tuple[dict[str, Any], Effect, int, int, int, _Values]


def open_intents(table: Mapping[str, Any], memory: Any) -> Intents:
    """Return the intent record of an attached table; raises ``KernelObjectError``: no room."""
    size = table["recovery"]["size"]
    if len(memory.bytes) < place(size) + SPACE:
        raise KernelObjectError(
            f"the table has {len(memory.bytes)} bytes, and with recovery: intent it needs "
            f"{place(size) + SPACE}",
            "let the scenario make it, or leave recovery out",
        )
    return Intents(memory.bytes, size)


def begin(table: Mapping[str, Any], fresh: bool) -> None:
    """Make the record of a table, or go on with that of an earlier run, which is settled first."""
    with _attached(table) as intents:
        policy = table["recovery"]["half_done"]
        if fresh or not intents.known:
            intents.make(policy)
            return
        # What was left was left under the rule of that run.
        intents.forget()
        Recovery(intents, "the table").settle()
        intents.rule(policy)


def settled(
    plan: Plan,
    outcome: Outcome,
    table: Mapping[str, Any],
    operations: Mapping[int, Operation],
    run_dir: Path,
) -> list[dict[str, Any]]:
    """End what is left to be ended, when all processes have; returns all recoveries of the run.

    Each as :meth:`Intents.told` has it, with the names of who died (``dead``) and who recovered
    (``by``), and ``action``: ``undo`` or ``finish``. Raises ``ObjectVanished``.
    """
    try:
        found = _end(table, outcome.processes)
    except (ObjectVanished, NotPermitted):
        raise
    except KernelObjectError as error:
        return [{"failed": str(error)}]
    assert plan.table is not None
    width = len(plan.table.rows[0])
    during = [entry for entry in found if entry.get("began_ns", 0) >= outcome.gate_ns]
    lines = [(entry, *line) for entry in during for line in _changed(entry, width)]
    if lines:
        _write(run_dir / "history" / f"{NAME}.rec", lines, operations)
    return found


def _end(table: Mapping[str, Any], processes: Iterable[ProcessOutcome]) -> list[dict[str, Any]]:
    names = {process.pid: process.name for process in processes} | {os.getpid(): LAUNCHER}
    with _attached(table) as intents:
        Recovery(intents, "the table").settle()
        told, count = intents.told(), intents.recoveries
    for entry in told:
        for key in ("dead", "by"):
            entry[key] = names.get(entry[key], f"process {entry[key]}")
        entry["action"] = table["recovery"]["half_done"]
    if count > len(told):
        told.append({"untold": count - len(told)})
    return told


def _write(path: Path, lines: list[_Told], operations: Mapping[int, Operation]) -> None:
    """Write what recoveries changed as a history of its own."""
    known = {(each.recovery, each.effect, each.sign): code for code, each in operations.items()}
    recorder = Recorder(path, NAME, NAME, INDEX, len(lines))
    held = record.TABLE_LOCK * (record.HELD_FIRST + record.HELD_LAST) // record.OBJECT
    for entry, effect, sign, row, item, (v0, v1, v2, v3, v4) in lines:
        began, place = entry["began_ns"], held + row
        cell = recorder.begin(known[entry["action"], effect, sign], place, item, began, began, v0)
        recorder.end(cell, v1, v2, v3, v4, entry["ended_ns"])


def acted(entry: Mapping[str, Any], change: Mapping[str, Any]) -> bool:
    """Say whether a recovery wrote to a cell."""
    wanted = "new" if entry["action"] == "undo" else "old"
    return bool(entry["phase"] == "intended" and change["found"] == wanted)


def _changed(entry: Mapping[str, Any], width: int) -> Iterator[_Line]:
    """Yield what a recovery changed."""
    undone = entry["action"] == "undo"
    rates: list[tuple[int, float]] = []
    for number, change in enumerate(entry["changes"]):
        row, field = divmod(change["cell"], width)
        read, written = (change["new"], change["old"]) if undone else (change["old"], change["new"])
        if field < width - 1:
            rates.append((row, change["seen"] if change["found"] == "foreign" else written))
        elif acted(entry, change):
            values = (abs(written - read), read, 0.0, read, written)
            sign = 1 if written > read else -1
            yield Effect.UPDATE, sign, row, entry["item"] + number, values
    if len(rates) == width - 1 and any(acted(entry, change) for change in entry["changes"]):
        (row, first), (_, second) = rates
        yield Effect.SET, 0, row, entry["item"], (first, second, 0.0, 0.0, 0.0)


@contextmanager
def _attached(table: Mapping[str, Any]) -> Iterator[Intents]:
    memory = kinds.load(kinds.TABLES, table["kind"]).attach(table["memory"])
    intents = open_intents(table, memory)
    try:
        yield intents
    finally:
        intents.close()
        memory.close()
