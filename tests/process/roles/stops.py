"""Stops itself, as SIGSTOP from outside would."""

from __future__ import annotations

import os
import signal
from typing import Any

from common.process.context import Context
from tests.process.roles import Options, Role, records

__all__ = ["Options", "prepare", "records"]


def prepare(context: Context, options: Options) -> Role:
    """Misbehave."""

    def role() -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGSTOP)
        return {}

    return role
