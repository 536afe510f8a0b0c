"""A storm of signals: blocking calls are interrupted again and again, and signals merge.

"Signals are not queued" (lecture): of a thousand that are sent the process sees as many as it has
time for. A call that semop(2) and msgrcv(2) never restart by themselves must be made again.
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
    """How many, of which signal."""

    number: int = option(1000, about="How many are sent.", minimum=1, maximum=1_000_000)
    signal: str = option("USR1", about="Which, without SIG.", choices=("USR1", "USR2"))


def strike(options: Options, scene: Scene, member: Member | None) -> float | None:
    """Send them all."""
    assert member is not None
    number = signal.Signals[f"SIG{options.signal}"]
    for _ in range(options.number):
        member.signal(number)
    scene.note(sent=options.number)
    return 0.0
