"""A process takes its time at a step."""

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
    """For how long."""

    seconds: float = option(0.05, about="Seconds that it stands there.", minimum=0, maximum=3600)


def strike(options: Options, scene: Scene, member: Member | None) -> float | None:
    """Let it stand at its step."""
    return options.seconds
