"""Faults: what can be made to go wrong in a run, one file a kind.

Each module has:

- ``Options``: a frozen dataclass of :func:`common.options.option` fields; may have none.
- ``STRIKES``: whether it strikes a process (then its trigger names one).
- ``strike(options, scene, member) -> float | None``: does it, in the launcher. ``member`` is the
  process that it strikes, or at whose step it happens, which stands still meanwhile; None where
  there is none. Returns after how many seconds that process goes on, or None when it never does.
- ``fits(step, scenario) -> str``, where it cannot strike at any step ("" for any): why not ("" when
  it can); the loader asks.
- ``check(options, scenario) -> {option: reason}``, where something may be wrong with the options:
  the scenario's loader asks, with the values that it has read.
- ``word(options) -> {…}``, where the process does something itself when it goes on: what it is
  told, which its ``act`` is given.
- ``act(word, context) -> {…} | None``: does that, in the process, at its step; returns facts to
  note. ``helper`` is the pid of a process that it started, which ends with the run.

A fault that strikes at a step strikes exactly there: the process has told the launcher that it
stands before the step, and waits for its answer.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from common.errors import KernelObjectError
from common.kernel import existing

if TYPE_CHECKING:
    # A process that only acts needs none of the launcher's.
    from common.kernel.objects import Maker
    from common.process.members import Member, Members
    from common.scenario.plan import Plan


class Scene(Protocol):
    """The run in which a fault strikes, as its launcher sees it."""

    plan: Plan
    addresses: dict[str, Any]
    maker: Maker
    members: Members
    random: random.Random

    def later(self, seconds: float, do: Callable[[], None]) -> None:
        """Call ``do`` after so many seconds, if the run lasts so long."""

    def give(self, sign: str) -> None:
        """Call what waits for ``sign``, now and from now on."""

    def when(self, sign: str, do: Callable[[], None]) -> None:
        """Call ``do`` as soon as ``sign`` was given."""

    def going(self, member: Member) -> Callable[[], None]:
        """Return what lets ``member`` go on from its step: called again, it does nothing."""

    def note(self, **facts: Any) -> None:
        """Add facts to what is written down of the fault that strikes now."""


TABLE, LOCK = "table", "lock"


def named(addresses: dict[str, Any], what: str) -> set[str | int]:
    """Return the keys, names and paths of what a scenario calls ``what``.

    That is ``table``, ``lock`` (those of the table), or the name of a channel.
    """
    table = addresses["table"]
    if what == TABLE:
        return _leaves(table["memory"])
    if what == LOCK:
        return _leaves([lock["at"] for lock in table["locks"]])
    return _leaves(addresses["channels"][what]["at"])


def table_file(addresses: dict[str, Any]) -> Path:
    """Return where the file system shows the table; raises ``KernelObjectError``."""
    memory = addresses["table"]["memory"]
    if "path" in memory:
        return Path(memory["path"])
    if "name" in memory:
        return existing.path("posix_shm", memory["name"])
    raise KernelObjectError("the table is in no file")


def _leaves(address: Any) -> set[str | int]:
    if isinstance(address, dict):
        return set().union(*(_leaves(value) for value in address.values()))
    if isinstance(address, list):
        return set().union(*(_leaves(value) for value in address))
    return {address} if isinstance(address, str | int) else set()
