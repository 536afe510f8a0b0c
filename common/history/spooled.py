"""What a run's spool says afterwards: its journal, and what lay in it when the run had ended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.kernel.spool import journal


@dataclass
class Spooled:
    """``address`` is the first line of the journal, ``lines`` are the others, in their order.

    ``final`` is what the launcher found in the end (see ``Outcome.spool``).
    """

    address: dict[str, Any]
    lines: list[dict[str, Any]]
    final: list[dict[str, Any]]


def load(run_dir: Path, final: dict[str, Any] | None) -> Spooled:
    """Read the journal of a stored run; raises ``StoredRunError``.

    Where the spool outlives the run, somebody may have moved jobs since: that is another story.
    """
    size = None if final is None else final["journal"]
    first, *lines = journal.read(run_dir / journal.STORED, size)
    return Spooled(first["spool"], lines, [] if final is None else final["jobs"])
