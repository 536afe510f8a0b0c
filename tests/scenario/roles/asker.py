"""A role that sends a question and receives its own answer."""

from __future__ import annotations

from dataclasses import dataclass

from common.options import option

STEPS = ("send", "receive")


@dataclass(frozen=True)
class Options:
    """What an asker can be told."""

    asks: str = option(about="The channel of the questions.", channel="send", message=128)
    hears: str = option(about="The channel of its answers.", channel="answer", message=48)
