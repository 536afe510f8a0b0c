"""Takes the lock of the table and gives it back."""

from __future__ import annotations

from typing import Any

from common.process.context import Context
from tests.process.roles import Options, Role, records

__all__ = ["Options", "prepare", "records"]


def prepare(context: Context, options: Options) -> Role:
    """Behave."""
    lock = context.table_lock()

    def role() -> dict[str, Any]:
        lock.acquire()
        lock.release()
        return {"done": 1}

    return role
