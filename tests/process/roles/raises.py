"""Fails with an error that nobody foresaw."""

from __future__ import annotations

from typing import Any

from common.process.context import Context
from tests.process.roles import Options, Role, records

__all__ = ["Options", "prepare", "records"]


def prepare(context: Context, options: Options) -> Role:
    """Misbehave."""

    def role() -> dict[str, Any]:
        raise RuntimeError("a bug")

    return role
