"""What a run's spool says afterwards: its journal, and what lay in it when the run had ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.kernel.spool import journal


@dataclass
class Spooled:
    """``address`` is the first line of the journal, ``lines`` are the others, in their order.

    ``final`` is what the launcher found in the end (see ``Outcome.spool``), ``flaws`` what is wrong
    with the journal as a file, ``beyond`` how many bytes it has grown by since then.
    """

    address: dict[str, Any]
    lines: list[dict[str, Any]]
    final: list[dict[str, Any]]
    flaws: list[str] = field(default_factory=list)
    beyond: int = 0


def load(run_dir: Path, final: dict[str, Any] | None) -> Spooled:
    """Read the journal of a stored run; raises ``StoredRunError``.

    Where the spool outlives the run, somebody may have moved jobs since: that is another story.
    """
    size = None if final is None else final["journal"]
    path = run_dir / journal.STORED
    first, *lines = journal.read(path, size)
    beyond = 0 if size is None else max(0, path.stat().st_size - size)
    jobs = [] if final is None else final["jobs"]
    return Spooled(first["spool"], lines, jobs, journal.flaws(path, size), beyond)
