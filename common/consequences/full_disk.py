"""A run that finds no room on a disk: what it is told, and what lies there afterwards.

The disk is a tmpfs of one page, filled before the run is made, in a mount namespace that this
process takes for itself: nobody else sees it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common import names, pipeline
from common.errors import MachineError
from common.kernel import small_disk
from common.kernel.libc import mounts
from common.kernel.objects import PAGE
from common.scenario.plan import Plan
from common.system import System

# The verdict of a run that was refused before any process was started.
REFUSED = "refused"


def perform(plan: Plan, systems: Mapping[str, System], out: Path, full: str) -> dict[str, Any]:
    """Run ``plan`` with no room in the directory ``full``; returns the document of its run.

    Of one that was refused it is short: ``refused`` in what words, and ``left``, what lies there
    now or was not cleaned up. Raises ``MachineError`` where such a disk cannot be had.
    """
    scenario = out / plan.scenario
    with _full_disk(scenario / full) as disk:
        try:
            return pipeline.perform(plan, systems, out)
        except MachineError as error:
            return {
                "verdict": REFUSED,
                "as_expected": True,
                "variant": plan.variant,
                "run_dir": str((scenario / "latest").resolve()),
                "interrupted": None,
                "refused": error.message,
                "left": _left(disk),
            }


def _left(disk: Path) -> list[str]:
    files = sorted(path for path in disk.iterdir() if path.name != small_disk.FILLER)
    found = [f"the file {path.name} of {path.stat().st_size} bytes" for path in files]
    # Where an object is left its ledger is, too.
    mine = [each for each in names.runtime_directories() if names.maker_pid(each) == os.getpid()]
    return found + [str(directory) for directory in mine]


@contextmanager
def _full_disk(path: Path) -> Iterator[Path]:
    made = not path.exists()
    try:
        path.mkdir(parents=True, exist_ok=True)
        mounts.leave_mounts()
        mounts.mount_tmpfs(path, PAGE)
    except OSError as error:
        why = f"a full disk cannot be had: {error.strerror}"
        raise MachineError(why, small_disk.MEND) from None
    try:
        small_disk.fill(path)
        yield path
    finally:
        mounts.unmount(path)
        if made:
            path.rmdir()
