"""A spool for tests, laid as the launcher lays it, and how a test uses it."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from common.kernel.objects import Maker
from common.kernel.spool import journal, making
from common.kernel.spool.spool import Spool
from common.kernel.touch import At, Touch
from common.kernel.waits import Wait

OPTIONS = {"promise": "at_least_once", "on_error": "retry", "retries": 3, "back_off": 0.0}


def lay(maker: Maker, run_dir: Path, path: str | None = None, **options: Any) -> dict[str, Any]:
    """Make a spool for a run whose directory is made here."""
    run_dir.mkdir(exist_ok=True)
    return making.make({**OPTIONS, **options}, path, run_dir, maker)


def opened(address: dict[str, Any], who: str = "tester", at: At | None = None) -> Spool:
    """Open it for this process."""
    return Spool(address, Wait(60.0), who, at)


def body(item: int, priority: int = 0) -> dict[str, Any]:
    """Return what a job's file holds."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    return {"item": item, "owner": "tester-0", "number": item, "priority": priority,
            "pages": 1, "letters": letters}  # fmt: skip


def put(spool: Spool, *items: int, priority: int = 0, held: bool = False) -> None:
    """Accept some jobs."""
    for item in items:
        assert spool.accept(item, body(item, priority), priority, held=held)


def states(address: dict[str, Any]) -> dict[int, str]:
    """Return the state of each job, as its directory tells it; each job lies in one."""
    found: dict[int, str] = {}
    for path in Path(address["path"]).glob("*/*-*"):
        item = int(path.name.split("-")[2], 16)
        assert item not in found, f"job {item} lies in two states"
        found[item] = path.parent.name
    return found


def written(address: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the moves in its journal."""
    lines = journal.read(Path(address["path"]) / journal.NAME)
    return [line for line in lines if "job" in line]


def dying(step: str, count: int = 1) -> At:
    """Return a step hook that kills this process at the ``count``-th pass of a step."""
    passed = 0

    def at(reached: str, _touch: Touch | None = None, /) -> None:
        nonlocal passed
        passed += reached == step
        if passed == count and reached == step:
            os.kill(os.getpid(), signal.SIGKILL)

    return at
