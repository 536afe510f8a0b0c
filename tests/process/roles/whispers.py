"""Waits for ever for something whose name would clear the screen and write a verdict."""

from __future__ import annotations

import signal
from typing import Any

from common.process.context import Context
from tests.process.roles import Options, Role, records

__all__ = ["Options", "prepare", "records"]

WORDS = "a lock\x1b[2J\nverdict valid"


def prepare(context: Context, options: Options) -> Role:
    """Misbehave."""

    def role() -> dict[str, Any]:
        with context.wait.standing(WORDS):
            signal.pause()
        return {}

    return role
