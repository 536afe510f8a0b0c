"""Sends 64-byte messages through one of the lab's channels, and says how many a second.

    channel KIND OPTIONS(JSON) MESSAGES

One producer, one consumer, each with its own end of the channel. What arrived is checked.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.subjects import crew
from common import kinds
from common.kernel.waits import Wait

SIZE = 64
PATIENCE = 60.0


def main(words: list[str]) -> None:
    """Send and receive as ``words`` ask and print the figures."""
    module = kinds.load(kinds.CHANNELS, words[0])
    options, messages = module.Options(**json.loads(words[1])), int(words[2])
    with crew.maker() as maker:
        # No lock: the kernel synchronises the channels that are measured here.
        address = module.make(options, SIZE, {}, maker)

        def attach(mode: str) -> Any:
            return module.attach(address, mode, Wait(PATIENCE), "the channel", None)

        def consume(ready: Callable[[], None]) -> float:
            receive = attach("receive").receive
            ready()
            received = [receive() for _ in range(messages)]
            ended = time.monotonic()
            if [int.from_bytes(each, "little") for each in received] != [*range(1, messages + 1)]:
                raise AssertionError("messages were lost or changed")
            return ended

        def produce(ready: Callable[[], None]) -> float:
            send = attach("send").send
            prepared = [number.to_bytes(SIZE, "little") for number in range(1, messages + 1)]
            ready()
            begun = time.monotonic()
            for message in prepared:
                send(message)
            return begun

        ended, begun = crew.together([consume, produce])
    print(json.dumps({"messages": messages, "per_second": messages / (ended - begun)}))


if __name__ == "__main__":
    main(sys.argv[1:])
