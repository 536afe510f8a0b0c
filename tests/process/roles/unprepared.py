"""Fails before it is ready."""

from __future__ import annotations

from common.process.context import Context
from tests.process.roles import Options, Role, records

__all__ = ["Options", "prepare", "records"]


def prepare(context: Context, options: Options) -> Role:
    """Misbehave."""
    raise RuntimeError("not ready")
