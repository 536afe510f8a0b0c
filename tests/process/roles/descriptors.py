"""Tells which descriptors it was left with, and which it opened itself."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from common.process.context import Context
from tests.process.roles import Options, Role, records

__all__ = ["Options", "prepare", "records"]


def prepare(context: Context, options: Options) -> Role:
    """Misbehave."""

    def role() -> dict[str, Any]:
        targets = {}
        for link in Path("/proc/self/fd").iterdir():
            try:
                targets[link.name] = str(link.readlink())
            except OSError:
                continue
        return {"descriptors": targets, "signal": signal.getsignal(signal.SIGINT) == signal.SIG_IGN}

    return role
