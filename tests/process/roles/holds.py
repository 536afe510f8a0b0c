"""Takes the lock of the table and never gives it back, but lives on."""

from __future__ import annotations

import signal
from typing import Any

from common.process.context import Context
from tests.process.roles import Options, Role, records

__all__ = ["Options", "prepare", "records"]


def prepare(context: Context, options: Options) -> Role:
    """Misbehave."""
    lock = context.table_lock()

    def role() -> dict[str, Any]:
        lock.acquire()
        signal.pause()
        return {}

    return role
