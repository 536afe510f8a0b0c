"""Ends and removes what a dead run left, by its ledger: what is not proven to be ours stays."""

from __future__ import annotations

import os
from collections.abc import Container
from pathlib import Path

from common import names
from common.errors import KernelObjectError, NotPermitted, StoredRunError
from common.kernel import existing, in_use, survivors
from common.kernel.existing import Found
from common.kernel.ledger import FILE, Entry, LedgerState, read_ledger, remove_directory
from common.kernel.libc import births

# The kernel stamps System V objects in whole seconds and files with a clock that lags by a tick.
STAMP_SLACK = 2.0
# How long after its line in the ledger an object may be made (s): a launcher makes it at once.
AFTER = 2.0


def ledger_of(directory: Path) -> LedgerState | None:
    """Return the ledger in a runtime directory, or None where there is none that can be read."""
    try:
        return read_ledger(directory)
    except StoredRunError:
        return None


def clean(directory: Path) -> list[str] | None:
    """End and remove all that the dead run of this directory left, and the directory itself.

    Returns one sentence for each thing that was done or refused; None when the run is alive. The
    directory goes when nothing that its run may have made is left: not when its ledger cannot be
    read to the end.
    """
    state = ledger_of(directory)
    if names.maker_lives(directory) if state is None else state.alive:
        return None
    # Only now that nobody writes it any more is it known to be whole.
    state = ledger_of(directory)
    said = remove_dead(state) if state is not None else []
    if not any(sentence.startswith("left") for sentence in said):
        try:
            remove_directory(directory)
            said += [f"removed directory {directory}"] if state is None else []
        except KernelObjectError as error:
            said.append(f"left {error.message}")
    return said


def sweep() -> list[str]:
    """Clean after the dead runs of this user that nobody wants to look at; returns what was done.

    What was left on purpose (``--keep``) stays, and whatever is not certain is left to ``clean``.
    """
    said = []
    for directory in names.runtime_directories():
        # Cheap, for there may be many live ones: a pid that was used again is no matter here.
        if names.maker_lives(directory):
            continue
        state = ledger_of(directory)
        if state is not None and not (state.damaged or state.kept):
            said += clean(directory) or []
    return said


def remove_dead(state: LedgerState) -> list[str]:
    """End and remove what a dead run left; returns a sentence for each thing done or refused.

    Its processes go first: they may hold what is removed then.
    An object that was made is touched only if its name and its id match the ledger's; one that
    was only intended only if it is this user's and was created when the ledger says. One that is
    older than the ledger, which no writer of it can change, was made by somebody else.
    Raises ``KernelObjectError`` when the run is alive.
    """
    if state.alive:
        raise KernelObjectError(f"run {state.header.pid} of {state.header.scenario} is alive")
    rebooted = state.header.boot != names.boot_id()
    said = survivors.end_dead(state)
    for entry in reversed(state.entries):
        if entry.state == "gone" or entry.kept:
            continue
        if entry.kind in existing.SYSV and rebooted:
            # System V objects ended with that boot; the same key and id are somebody else's now.
            continue
        within = entry.asked_for or _inside(state.directory, str(entry.name))
        if entry.kind in existing.RUNTIME and not within:
            said.append(f"left {entry.name}: it is not in a directory of this user's runs")
            continue
        found = proven(entry, state.makers(entry))
        if found is None:
            continue
        doubt = _doubt(entry, found, state.directory)
        if doubt:
            said.append(
                f"left {entry.kind} {existing.shown(entry.name)}: {doubt} (if nobody needs it: "
                f"{in_use.mend(entry.kind, entry.name, found)})"
            )
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


def proven(entry: Entry, makers: Container[int]) -> Found | None:
    """Return the object of an entry, if it exists and there is proof that its run made it.

    ``makers`` are the pids of those who may have made it.
    """
    found = existing.find(entry.kind, entry.name, entry.id)
    if found is None or found.uid != os.geteuid():
        return None
    if found.creator and found.creator not in makers:
        return None
    if entry.id is None and found.changed < entry.at - STAMP_SLACK:
        return None
    if entry.born is not None and births.born(str(entry.name)) != entry.born:
        return None
    return found


def _doubt(entry: Entry, found: Found, directory: Path) -> str:
    """Return why a name that others know, too, does not prove that the run made the object.

    "" when it does. A name that the lab drew, in a directory of the run, is proof enough.
    """
    if not (entry.asked_for or entry.kind in existing.SYSV):
        return ""
    ledger = directory / FILE
    begun = births.born(str(ledger))
    birth = births.born(str(entry.name)) if entry.kind in existing.PLACED else None
    since, slack = (found.changed, STAMP_SLACK) if birth is None else (birth / 1e9, 0.0)
    if begun is not None and since < begun / 1e9 - slack:
        return "it is older than the ledger that names it"
    known = entry.id is not None and (entry.kind in existing.SYSV or entry.born is not None)
    if not known and since > ledger.lstat().st_ctime + AFTER:
        return "it was made when the run no longer wrote what it made"
    return ""


def _inside(directory: Path, name: str) -> bool:
    return Path(name).parent == directory and names.is_private_directory(directory)
