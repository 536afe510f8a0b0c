"""A channel is filled up from outside: senders wait, and receivers find what is no job.

The messages are all zeros. It stops at the first that does not fit.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common import kinds
from common.errors import LabError
from common.kernel.waits import Wait
from common.options import option

if TYPE_CHECKING:
    from common.process.faults import Scene
    from common.process.members import Member

STRIKES = False

# A send that takes longer does not fit (s).
PATIENCE = 0.05


@dataclass(frozen=True)
class Options:
    """Which channel, and with how much."""

    channel: str = option(about="The name of the channel.")
    messages: int = option(
        10_000, about="No more messages, where receivers are faster.", minimum=1, maximum=10_000_000
    )


def check(options: Options, values: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with the options."""
    channel = values.get("channels", {}).get(options.channel)
    if channel is None:
        return {"channel": f"there is no channel {options.channel!r}"}
    module = kinds.load(kinds.CHANNELS, channel.kind)
    if not module.facts(module.Options(**channel.options)).bounded:
        return {"channel": f"a {channel.kind} is never full"}
    if getattr(module, "WAITERS_MUST_LIVE", False):
        # Whoever is killed in a wait for a condition variable leaves who signals it waiting.
        return {"channel": f"a {channel.kind} could hang who fills it from outside"}
    if hasattr(module, "descriptors") and channel.kind not in ("unix_stream", "unix_seqpacket"):
        return {"channel": f"a {channel.kind} has no name: nobody from outside can fill it"}
    return {}


def strike(options: Options, scene: Scene, member: Member | None) -> float | None:
    """Send until nothing fits any more."""
    address = scene.addresses["channels"][options.channel]
    size = scene.plan.channel(options.channel).message_size
    module = kinds.load(kinds.CHANNELS, address["kind"])
    sent = 0
    for at in address["at"].values():
        end = module.attach(at, "send", Wait(PATIENCE), f"channel {options.channel}", None)
        with contextlib.suppress(LabError):
            while sent < options.messages:
                end.send(bytes(size))
                sent += 1
        end.close()
    scene.note(messages=sent)
    return 0.0
