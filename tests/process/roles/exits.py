"""Ends without a word, with status 3."""

from __future__ import annotations

import os
from typing import Any

from common.process.context import Context
from tests.process.roles import Options, Role, records

__all__ = ["Options", "prepare", "records"]


def prepare(context: Context, options: Options) -> Role:
    """Misbehave."""

    def role() -> dict[str, Any]:
        os._exit(3)

    return role
