"""Removes what a dead run left, by its ledger: what is not proven to be ours stays."""

from __future__ import annotations

import os
from pathlib import Path

from common import names
from common.errors import KernelObjectError, NotPermitted
from common.kernel import existing
from common.kernel.existing import Found
from common.kernel.ledger import Entry, LedgerState

# The kernel stamps System V objects in whole seconds and files with a clock that lags by a tick.
STAMP_SLACK = 2.0


def remove_dead(state: LedgerState) -> list[str]:
    """Remove what a dead run left; returns one sentence for each thing that was done or refused.

    An object that was made is touched only if its name and its id match the ledger's; one that
    was only intended only if it is this user's and was created no earlier than the ledger says.
    Raises ``KernelObjectError`` when the run is alive.
    """
    if state.alive:
        raise KernelObjectError(f"run {state.header.pid} of {state.header.scenario} is alive")
    rebooted = state.header.boot != names.boot_id()
    said = []
    for entry in reversed(state.entries):
        if entry.state == "gone" or entry.kept:
            continue
        if entry.kind in existing.SYSV and rebooted:
            # System V objects ended with that boot; the same key and id are somebody else's now.
            continue
        if entry.kind in existing.RUNTIME and not _inside(state.directory, str(entry.name)):
            said.append(f"left {entry.name}: it is not in a directory of this user's runs")
            continue
        found = proven(entry, state.header.pid)
        if found is None:
            continue
        try:
            existing.remove(entry.kind, entry.name, found)
        except NotPermitted as error:
            said.append(f"left {error.message}")
        else:
            said.append(f"removed {entry.kind} {existing.shown(entry.name)} (id {found.id})")
    return said


def commands(entry: Entry) -> str:
    """Return the exact command that shows the object of a ledger's entry."""
    return existing.command(entry.kind, entry.name, entry.id)


def proven(entry: Entry, maker: int) -> Found | None:
    """Return the object of an entry, if it exists and there is proof that its run made it.

    ``maker`` is the pid of that run's launcher.
    """
    found = existing.find(entry.kind, entry.name, entry.id)
    if found is None or found.uid != os.geteuid() or found.creator not in (0, maker):
        return None
    if entry.id is None and found.changed < entry.at - STAMP_SLACK:
        return None
    return found


def _inside(directory: Path, name: str) -> bool:
    return Path(name).parent == directory and names.is_private_directory(directory)
