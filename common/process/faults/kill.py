"""A process is killed, or told by another signal.

SIGKILL cannot be caught: nothing is given back, nothing is said (lecture: "except SIGKILL and
SIGSTOP"). SIGTERM asks a process of the lab to finish what it has begun and to stop.
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

# A child of ours finishes at SIGTERM, and ignores SIGINT, which is the launcher's, and SIGPIPE, as
# Python does. All others end it.
SURVIVED = (signal.SIGTERM, signal.SIGINT, signal.SIGPIPE)
SIGNALS = ("KILL", "TERM", "INT", "SEGV", "ABRT", "PIPE", "QUIT")


@dataclass(frozen=True)
class Options:
    """Which signal."""

    signal: str = option("KILL", about="The signal, without SIG.", choices=SIGNALS)


def strike(options: Options, scene: Scene, member: Member | None) -> float | None:
    """Send the signal; who is only asked to finish goes on at once."""
    assert member is not None
    number = signal.Signals[f"SIG{options.signal}"]
    if number != signal.SIGTERM:
        member.outcome.struck = options.signal
    member.signal(number)
    return 0.0 if number in SURVIVED else None
