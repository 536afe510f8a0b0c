"""A kernel object is removed while it is in use, as ``ipcrm`` or ``rm`` would."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.options import option
from common.process.faults import LOCK, TABLE, named

if TYPE_CHECKING:
    from common.process.faults import Scene
    from common.process.members import Member

STRIKES = False


@dataclass(frozen=True)
class Options:
    """Which object."""

    what: str = option(about="`table`, `lock` (the table's), or the name of a channel.")


def check(options: Options, values: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with the options: the scenario must have what is to be removed."""
    known = [*([TABLE, LOCK] if "table" in values else []), *values.get("channels", {})]
    if options.what in known:
        return {}
    has = ", ".join(known) or "none"
    return {"what": f"there is no {options.what!r} to remove; there is: {has}"}


def strike(options: Options, scene: Scene, member: Member | None) -> float | None:
    """Remove every object that it consists of."""
    scene.note(removed=scene.maker.remove_now(named(scene.addresses, options.what)))
    return 0.0
