"""A process is stopped for a while (SIGSTOP), and continued (SIGCONT).

Whoever waits for what it holds sees a lock that nobody gives back: it looks like a deadlock.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.options import option

if TYPE_CHECKING:
    from common.process.faults import Scene
    from common.process.members import Member

STRIKES = True


@dataclass(frozen=True)
class Options:
    """For how long."""

    seconds: float = option(0.5, about="Seconds until it is continued.", minimum=0, maximum=3600)


def strike(options: Options, scene: Scene, member: Member | None) -> float | None:
    """Stop it now; it is continued when its time has come, or when the run ends."""
    assert member is not None
    member.signal(signal.SIGSTOP)
    scene.later(options.seconds, lambda: member.signal(signal.SIGCONT))
    # The answer waits for it: it is read once the process runs again.
    return 0.0
