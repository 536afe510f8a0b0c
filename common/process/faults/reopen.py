"""A process opens the file of a lock that it holds once more, and closes that again.

A library does it unawares, to read that file: "as soon as a process closes any file descriptor
for that file, its record locks are lost" (fcntl(2)).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common import kinds
from common.options import option

if TYPE_CHECKING:
    from common.process.faults import Scene
    from common.process.members import Member

STRIKES = True


@dataclass(frozen=True)
class Options:
    """Which of the table's locks."""

    row: int = option(0, about="The row, where each has its own.", minimum=0, maximum=1000)


def check(options: Options, values: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with it: only a lock that is a file can be opened."""
    lock = values.get("table", {}).get("lock")
    kind = "none" if lock is None else lock.kind
    if getattr(kinds.load(kinds.LOCKS, kind), "A_FILE", False):
        return {}
    return {"": f"the table's lock is no file that could be opened: it is {kind}"}


def strike(options: Options, scene: Scene, member: Member | None) -> float | None:
    """Let it go on at once: it opens and closes by itself."""
    return 0.0


def word(options: Options) -> dict[str, Any]:
    """Return which lock."""
    return {"row": options.row}


def act(word: dict[str, Any], context: Any) -> None:
    """Open it and close it."""
    locks = context.addresses["table"]["locks"]
    path = locks[word["row"] % len(locks)]["at"]["path"]
    os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
