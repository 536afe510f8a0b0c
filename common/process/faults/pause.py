"""A process stands at its step until another one gives a sign, or until its time is over.

It stands and does not sleep in the kernel as a stopped process does; what it holds it keeps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.kinds import nearest
from common.options import option

if TYPE_CHECKING:
    from common.process.faults import Scene
    from common.process.members import Member

STRIKES = True


@dataclass(frozen=True)
class Options:
    """Until which sign, and for how long at most."""

    until: str = option(about="The name of the sign that a `sign` gives.")
    seconds: float = option(
        0.0, about="Seconds after which it goes on all the same; 0: never.", minimum=0, maximum=3600
    )


def check(options: Options, values: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with the options: somebody must give the sign."""
    given = [
        fault.options.get("gives")
        for fault in values.get("faults", [])
        if fault is not None and fault.kind == "sign"
    ]
    if options.until in given:
        return {}
    hint = nearest(options.until, [name for name in given if name])
    return {"until": f"nobody gives the sign {options.until!r}" + (f": {hint}" if hint else "")}


def strike(options: Options, scene: Scene, member: Member | None) -> float | None:
    """Let it stand."""
    assert member is not None
    going = scene.going(member)
    scene.when(options.until, going)
    if options.seconds:
        scene.later(options.seconds, going)
    return None
