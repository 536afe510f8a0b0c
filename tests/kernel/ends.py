"""Children with one end of a channel, as the launcher starts them: nothing else is inherited."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from common.kernel.channels import Channel
from common.kernel.waits import Wait

WHAT = "channel orders"


def only(module: ModuleType, address: Mapping[str, Any], mode: str, keep: tuple[int, ...]) -> None:
    """Close everything that a process with this end is not given, but what the test has."""
    first = 3
    for fd in sorted({*module.descriptors(address, mode), *keep}):
        os.closerange(first, fd)
        first = fd + 1
    os.closerange(first, 1 << 16)


def in_child(
    module: ModuleType,
    address: Mapping[str, Any],
    mode: str,
    seconds: float,
    work: Callable[[Channel], object],
    *keep: int,
) -> Callable[[], None]:
    """Return what a forked child does: ``work`` with its own end, and with ``keep``."""

    def run() -> None:
        only(module, address, mode, keep)
        work(module.attach(address, mode, Wait(seconds), WHAT))

    return run
