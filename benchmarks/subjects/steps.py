"""One teller's locked trades, by the desk as it is and with every step taken out of its code.

``python -m benchmarks.subjects.steps OPERATIONS`` prints trades a second of both.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import random
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import sysv_ipc

from common.history import record
from common.history.recorder import Recorder
from common.kernel.locks import sysv_sem
from common.kernel.tables import sysv_shm
from common.kernel.waits import Wait
from common.process.context import Context
from exchange import amounts, desk
from exchange.layout import INITIAL, ROWS

# Trades of one turn.
PIECE = 1000


class _WithoutSteps(ast.NodeTransformer):
    """Takes out every ``if at is not None …: at(…)``."""

    def visit_If(self, node: ast.If) -> ast.AST | None:
        """Drop the statement, or look into it."""
        calls = [call for call in ast.walk(node) if isinstance(call, ast.Call)]
        only = len(node.body) == 1 and isinstance(node.body[0], ast.Expr)
        names = {call.func.id for call in calls if isinstance(call.func, ast.Name)}
        if only and "at" in names:
            return None
        return self.generic_visit(node)


def without_steps() -> Any:
    """Return the desk's loop, compiled anew without its steps."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(desk.Desk._deal)))
    stripped = ast.fix_missing_locations(_WithoutSteps().visit(tree))
    names: dict[str, Any] = dict(vars(desk))
    exec(compile(stripped, "desk without steps", "exec"), names)
    return names["_deal"]


def main() -> None:
    """Make a table and its lock, trade, and remove both."""
    operations = int(sys.argv[1])
    memory = sysv_ipc.SharedMemory(None, sysv_ipc.IPC_CREX, size=4096)
    semaphore = sysv_ipc.Semaphore(None, sysv_ipc.IPC_CREX, initial_value=1)
    try:
        with tempfile.TemporaryDirectory() as directory:
            print(json.dumps(_trade(memory, semaphore, directory, operations)))
    finally:
        semaphore.remove()
        memory.remove()


def _trade(
    memory: sysv_ipc.SharedMemory, semaphore: sysv_ipc.Semaphore, directory: str, operations: int
) -> dict[str, float]:
    table = sysv_shm.attach({"key": memory.key})
    for at, value in enumerate(value for row in INITIAL for value in row):
        table.cells[at] = value
    lock = sysv_sem.attach({"key": semaphore.key, "undo": True}, Wait(20.0), "the lock")
    recorder = Recorder(Path(directory, "teller.rec"), "teller", "teller", 0, operations)
    context = SimpleNamespace(
        table=lambda: table,
        table_lock=lambda row=0: lock,
        lock_number=lambda row: record.TABLE_LOCK,
        at=None,
        recovery=None,
        recorder=recorder,
    )
    teller = desk.Desk(cast(Context, context), 1e9)
    loops = {"with steps": desk.Desk._deal, "without": without_steps()}
    drawn = amounts.draw(random.Random(1), operations, list(range(len(ROWS))), 0.5, 10)
    (batch,) = teller.declare([desk.order(*each) for each in drawn], 1)
    seconds = dict.fromkeys(loops, 0.0)
    counts = dict.fromkeys(loops, 0)
    # In turns within one process: the machine is the same for both.
    for piece, name in zip(batch.pieces(PIECE), itertools.cycle(loops), strict=False):
        begun = time.perf_counter()
        loops[name](teller, piece, teller._guards[0])
        seconds[name] += time.perf_counter() - begun
        counts[name] += len(piece.orders)
    table.close()
    return {name: counts[name] / seconds[name] for name in loops}


if __name__ == "__main__":
    main()
