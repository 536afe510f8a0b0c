"""A process gives a sign at its step and goes on: whoever pauses until that sign goes on, too.

It does no harm by itself. With ``pause`` it puts the steps of processes into an order in which a
fault is sure to strike where it shall: a lock is held by one and waited for by another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.options import option

if TYPE_CHECKING:
    from common.process.faults import Scene
    from common.process.members import Member

STRIKES = True


@dataclass(frozen=True)
class Options:
    """Which sign."""

    gives: str = option(about="The name of the sign, for `pause`.")


def strike(options: Options, scene: Scene, member: Member | None) -> float | None:
    """Give it; what was given once is given for the rest of the run."""
    scene.give(options.gives)
    return 0.0
