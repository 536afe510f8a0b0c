"""A file mapped MAP_SHARED: its contents outlive the processes and carry on in the next run."""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.errors import ObjectVanished
from common.kernel import asking, mapped_file
from common.kernel.foreign import Awaited
from common.kernel.locks import Address
from common.kernel.mapped_file import Mapped
from common.kernel.tables import Facts
from common.options import option

if TYPE_CHECKING:
    from common.kernel.objects import Maker

# The objects of a limited number that one table makes.
OBJECTS: dict[str, int] = {}

# Its cells are memory: what is behind them can hold an intent record.
MAPPED = True


@dataclass(frozen=True)
class Options:
    """Where the file is."""

    path: str = option(
        "exchange.dat", about="the file, relative to the directory that holds the scenario's runs"
    )
    anywhere: bool = option(
        False, about="the path may be absolute: a file that another program knows by it"
    )
    made_by: str = asking.maker()


def facts(options: Options) -> Facts:
    """Return how it behaves (mmap(2))."""
    return Facts(
        outlives=True,
        access="one aligned load or store",
        limits="room on the disk, asked for before it is mapped (a hole is a SIGBUS)",
        persists="until the file is removed; across a power cut only what was synced (msync(2))",
        named="a path",
    )


def make(options: Options, size: int, maker: Maker, behind: int = 0) -> dict[str, Any]:
    """Make the file, or take that of an earlier run (see ``mapped_file.make_lasting``)."""
    return mapped_file.make_lasting(
        options.path, size, maker, anywhere=options.anywhere, behind=behind
    )


def awaited(options: Options, size: int) -> list[Awaited]:
    """Return what another program makes, where the lab does not."""
    return [Awaited("file", options.path, size)]


def named(options: Options, size: int) -> dict[str, Any]:
    """Return what is known of a file that another program makes, before it is there."""
    return {"path": options.path, "size": size, "fresh": False}


def attach(address: Address) -> Mapped:
    """Map the file; raises ``ObjectVanished`` when it was removed, replaced or cut."""
    fd = mapped_file.reopen(address, address["path"])
    try:
        return Mapped(mmap.mmap(fd, address["size"]))
    except ValueError as error:
        # It was cut since it was looked at.
        raise ObjectVanished(f"{address['path']}: {error}") from None
    finally:
        os.close(fd)
