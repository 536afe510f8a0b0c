"""Fails with an error that nobody foresaw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from common.process.context import Context

STEPS = ()


@dataclass(frozen=True)
class Options:
    """None."""


def records(options: Options) -> int:
    """Return how many records this role will write."""
    return 1


def prepare(context: Context, options: Options) -> Callable[[], dict[str, Any]]:
    """Misbehave."""

    def role() -> dict[str, Any]:
        raise RuntimeError("a bug")

    return role
