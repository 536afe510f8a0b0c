"""The table's file is replaced by another one of its name (rename(2)), as an editor does it.

Who has the old one mapped goes on with it, who opens the name finds the new one: two worlds, and
no error tells of it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.process.faults import table_file

if TYPE_CHECKING:
    from common.process.faults import Scene
    from common.process.members import Member

STRIKES = False


@dataclass(frozen=True)
class Options:
    """None: the new file is a copy of the old one."""


def check(options: Options, values: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with it: only a table in a file can be replaced."""
    store = values.get("table", {}).get("store")
    if store is None or store.kind == "sysv_shm":
        return {"": "there is no table in a file: the key of a segment cannot be given to another"}
    return {}


def strike(options: Options, scene: Scene, member: Member | None) -> float | None:
    """Copy it, and put the copy in its place."""
    path = table_file(scene.addresses)
    # Beside it, so that the rename is one of one file system.
    copy = path.with_name(path.name + ".new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(copy, flags, 0o600), "wb") as file:
        file.write(path.read_bytes())
    before = path.stat().st_ino
    copy.rename(path)
    scene.note(inode_before=before, inode=path.stat().st_ino)
    return 0.0
