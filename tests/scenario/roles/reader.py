"""A role that receives."""

from __future__ import annotations

from dataclasses import dataclass

from common.options import option

STEPS = ("receive",)


@dataclass(frozen=True)
class Options:
    """What a reader can be told."""

    source: str = option(about="The channel to read from.", channel="receive", message=64)
