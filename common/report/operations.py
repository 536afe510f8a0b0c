"""Each operation of a run as one log line, written after the run from its history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from common.history.merge import History


def log_operations(history: History, gate_ns: int, log: Callable[..., None]) -> int:
    """Write every operation in the order in which it was asked for; returns how many."""
    asked = history.column("asked")
    columns = {
        name: history.column(name)
        for name in ("process", "seq", "code", "object", "outcome", "item", "entered", "left")
    }
    values = [history.column(f"v{at}") for at in range(5)]
    for at in np.argsort(asked, kind="stable"):
        operation = history.operations[int(columns["code"][at])]
        facts: dict[str, Any] = {
            name: float(column[at])
            for name, column in zip(operation.values, values, strict=True)
            if name
        }
        left = int(columns["left"][at])
        log(
            "operation",
            process=history.processes[int(columns["process"][at])].name,
            operation=operation.name,
            seq=int(columns["seq"][at]),
            object=int(columns["object"][at]),
            item=int(columns["item"][at]),
            asked_ns=int(asked[at]) - gate_ns,
            entered_ns=int(columns["entered"][at]) - gate_ns,
            left_ns=left - gate_ns if left else None,
            refused=bool(columns["outcome"][at]),
            values=facts,
        )
    return len(asked)
