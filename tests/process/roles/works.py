"""Does nothing, well."""

from __future__ import annotations

import os
from typing import Any

from common.process.context import Context
from tests.process.roles import Options, Role, records

__all__ = ["Options", "prepare", "records"]


def prepare(context: Context, options: Options) -> Role:
    """Misbehave."""

    def role() -> dict[str, Any]:
        return {"pid": os.getpid(), "session": os.getsid(0), "ppid": os.getppid()}

    return role
