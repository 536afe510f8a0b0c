"""Writes many lines of its own into what others write into, too: standard error and a file."""

from __future__ import annotations

import os
from typing import Any

from common.process.context import Context
from tests.process.roles import Options, Role, records

__all__ = ["Options", "prepare", "records"]

LINES, LENGTH = 250, 301


def prepare(context: Context, options: Options) -> Role:
    """Misbehave."""
    shared = context.shared_file("shared")

    def role() -> dict[str, Any]:
        for number in range(LINES):
            line = f"{os.getpid()} {number} ".encode().ljust(LENGTH - 1, b"-") + b"\n"
            for fd in (2, shared):
                os.write(fd, line)
        return {"pid": os.getpid()}

    return role
