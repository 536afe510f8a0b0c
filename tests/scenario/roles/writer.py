"""A role that sends."""

from __future__ import annotations

from dataclasses import dataclass

from common.options import option

STEPS = ("send",)


@dataclass(frozen=True)
class Options:
    """What a writer can be told."""

    to: str = option(about="The channel to write to.", channel="send", message=64)
    also: str = option("", about="A second channel.", channel="send", message=9000)
