"""Is killed by a signal while it works."""

from __future__ import annotations

import os
import signal
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
        os.kill(os.getpid(), signal.SIGKILL)
        return {}

    return role
