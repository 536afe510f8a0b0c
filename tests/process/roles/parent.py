"""Starts a process of its own and waits for it for ever."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Any

from common.process.context import Context
from tests.process.roles import Options, Role, records

__all__ = ["Options", "prepare", "records"]


def prepare(context: Context, options: Options) -> Role:
    """Misbehave."""
    grandchild = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    with open(context.paper()[0], "w") as note:
        note.write(str(grandchild.pid))

    def role() -> dict[str, Any]:
        signal.pause()
        return {}

    return role
