"""The disk is full: papers and spools lie on a small one (a tmpfs), filled to the last byte.

What was being written may be cut in the middle of a line; a store into a mapped hole is a SIGBUS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.kernel import small_disk
from common.options import option

if TYPE_CHECKING:
    from common.process.faults import Scene
    from common.process.members import Member

STRIKES = False


@dataclass(frozen=True)
class Options:
    """How large the disk is, and for how long it is full."""

    room: int = option(
        65_536, about="Bytes of the disk, in whole pages.", minimum=4096, maximum=1 << 30
    )
    seconds: float = option(
        0.0, about="Seconds until there is room again; 0: never.", minimum=0, maximum=3600
    )


def check(options: Options, values: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with it: a spool that outlives the run cannot lie on its disk."""
    if (values.get("spool") or {}).get("path"):
        return {"": "the spool has a path of its own, and the small disk ends with the run"}
    return {}


def disk(options: Options) -> int:
    """Return the bytes of the small disk that the run needs from its beginning."""
    return options.room


def strike(options: Options, scene: Scene, member: Member | None) -> float | None:
    """Fill it, and make room when its time has come."""
    path = Path(scene.addresses["disk"])
    scene.note(written=small_disk.fill(path))
    if options.seconds:
        scene.later(options.seconds, lambda: small_disk.free(path))
    return 0.0
