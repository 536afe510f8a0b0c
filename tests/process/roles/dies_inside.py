"""Is killed while it holds the lock of the table, which it has before the gate opens."""

from __future__ import annotations

import os
import signal
from typing import Any

from common.process.context import Context
from tests.process.roles import Options, Role, records

__all__ = ["Options", "prepare", "records"]


def prepare(context: Context, options: Options) -> Role:
    """Misbehave."""
    context.table_lock().acquire()

    def role() -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGKILL)
        return {}

    return role
