"""Roles that misbehave on purpose, each in one way; what they have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Role = Callable[[], dict[str, Any]]


@dataclass(frozen=True)
class Options:
    """None."""


def records(options: Options) -> int:
    """Return how many records such a role will write."""
    return 1
