"""The table's file or object is cut short under its users: what is behind its end is a SIGBUS.

A file that shrinks kills who touches what is no longer there; grown back it holds zeros, and no
error tells.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.options import option
from common.process.faults import table_file

if TYPE_CHECKING:
    from common.process.faults import Scene
    from common.process.members import Member

STRIKES = False


@dataclass(frozen=True)
class Options:
    """How much is left, and whether it grows back."""

    bytes: int = option(0, about="Bytes that are left.", minimum=0, maximum=1 << 30)
    grown_back: bool = option(False, about="At once extended to its old length, with zeros.")


def check(options: Options, values: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with it: only a table in a file can be cut."""
    store = values.get("table", {}).get("store")
    if store is None or store.kind == "sysv_shm":
        return {"": "there is no table in a file: a System V segment keeps its size"}
    return {}


def strike(options: Options, scene: Scene, member: Member | None) -> float | None:
    """Cut it."""
    path = table_file(scene.addresses)
    before = path.stat().st_size
    os.truncate(path, options.bytes)
    if options.grown_back:
        os.truncate(path, before)
    scene.note(bytes_before=before, bytes_left=options.bytes)
    return 0.0
