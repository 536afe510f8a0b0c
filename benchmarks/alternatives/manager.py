"""Starts a multiprocessing.Manager: a process that keeps objects and is asked through a socket."""

from __future__ import annotations

import multiprocessing
import os
import signal
from contextlib import ExitStack
from multiprocessing.managers import SyncManager
from pathlib import Path

from common import names
from common.kernel import libc
from common.kernel.ledger import FILES


def start(directory: Path, stack: ExitStack) -> tuple[SyncManager, int]:
    """Start one; returns it and its pid. It ends with ``stack``, or with this process."""
    # Named, so that it makes no temporary directory that would outlive an interruption, and where
    # whoever cleans up after a killed run removes it.
    files = directory / FILES
    files.mkdir(0o700, exist_ok=True)
    manager = SyncManager(
        address=str(files / f"manager-{names.new_token()}"),
        ctx=multiprocessing.get_context("fork"),
    )
    manager.start(libc.prctl_die_with_parent, (signal.SIGKILL, os.getpid()))
    stack.callback(manager.shutdown)
    (pid,) = (
        child.pid
        for child in multiprocessing.active_children()
        if child is getattr(manager, "_process", None)
    )
    assert pid is not None
    return manager, pid
