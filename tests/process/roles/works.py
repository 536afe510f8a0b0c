"""Does nothing, well."""

from __future__ import annotations

import os
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
        return {"pid": os.getpid(), "session": os.getsid(0), "ppid": os.getppid()}

    return role
