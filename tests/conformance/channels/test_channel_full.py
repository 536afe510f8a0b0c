"""Every bounded kind of channel can be asked not to wait for room."""

from __future__ import annotations

import pytest

from common.errors import ChannelFull, WaitExpired
from common.kernel.waits import Wait
from tests.conformance.channels.cases import SHORT, Made, drain, every, message, whole


@every(whole)
def test_a_full_channel_refuses_who_does_not_wait(made: Made) -> None:
    """A send that finds no room fails at once, by name; what was sent before is all there."""
    wait = Wait(SHORT)
    wait.refuses_full = True
    sender, receiver = made.ends(wait)
    sent: list[bytes] = []

    def send_on() -> None:
        while True:
            sender.send(message(len(sent)))
            sent.append(message(len(sent)))

    # Of a message that a stream took in part the rest is waited for, and here nobody reads.
    stream = not getattr(made.module, "ONE_LINE", True)
    refusals = (ChannelFull, WaitExpired) if stream else ChannelFull
    with pytest.raises(refusals, match="room in "):
        send_on()
    made.finish(wait)
    assert drain(receiver) == sent
