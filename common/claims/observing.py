"""How an experiment looks at its processes: what they tell, and what /proc says of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from common.claims.lab import PATIENCE, Child


def facts(child: Child) -> Any:
    """Return what ``child`` tells next, a line of JSON; ``TimeoutError`` when it tells nothing."""
    line = child.told()
    if line is None:
        raise TimeoutError(f"process {child.pid} told nothing within {PATIENCE:g} s")
    return json.loads(line)


def signals_in(pid: int, *fields: str) -> set[int]:
    """Return the signals in these bitmaps of /proc/PID/status.

    ``SigPnd`` is pending for its first thread, ``ShdPnd`` for the process, ``SigBlk`` is blocked,
    ``SigIgn`` ignored, ``SigCgt`` caught (proc(5)).
    """
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    words = dict(line.split(":", 1) for line in lines)
    found: set[int] = set()
    for field in fields:
        bits = int(words[field], 16)
        found |= {number for number in range(1, 65) if bits >> (number - 1) & 1}
    return found
