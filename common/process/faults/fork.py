"""A process starts a helper that inherits what it holds, and that lives on when it dies.

"The child inherits the parent's descriptors" (fork(2)): a lock that belongs to a descriptor belongs
to the helper, too; one that belongs to a process does not.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.options import option

if TYPE_CHECKING:
    from common.process.faults import Scene
    from common.process.members import Member

STRIKES = True


@dataclass(frozen=True)
class Options:
    """How long the helper lives."""

    seconds: float = option(
        0.5, about="Seconds that the helper lives, if the run lasts so long.", minimum=0,
        maximum=3600,
    )  # fmt: skip


def strike(options: Options, scene: Scene, member: Member | None) -> float | None:
    """Let it go on at once: it forks by itself."""
    return 0.0


def word(options: Options) -> dict[str, Any]:
    """Return for how long."""
    return {"seconds": options.seconds}


def act(word: dict[str, Any], context: Any) -> dict[str, Any]:
    """Fork; the launcher is told who the helper is, so that it ends with the run."""
    pid = os.fork()
    if not pid:
        # What the helper does is to be there: nothing else of this process goes on in it.
        time.sleep(word["seconds"])
        os._exit(0)
    return {"helper": pid}
