"""Takes the lock of the table and never gives it back, but lives on."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from common.process.context import Context

STEPS = ()


@dataclass(frozen=True)
class Options:
    """None."""


def records(options: Options) -> int:
    """Return how many records this role will write."""
    return 1


def prepare(context: Context, options: Options) -> Callable[[], dict[str, Any]]:
    """Misbehave."""
    lock = context.table_lock()

    def role() -> dict[str, Any]:
        lock.acquire()
        signal.pause()
        return {}

    return role
