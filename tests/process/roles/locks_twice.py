"""Takes the lock of the table twice, as if it were one that its holder may take again."""

from __future__ import annotations

from typing import Any

from common.process.context import Context
from tests.process.roles import Options, Role, records

__all__ = ["Options", "prepare", "records"]


def prepare(context: Context, options: Options) -> Role:
    """Misbehave."""
    lock = context.table_lock()

    def role() -> dict[str, Any]:
        lock.acquire()
        lock.acquire()
        return {"done": 1}

    return role
