"""Sends 64-byte messages through a multiprocessing.Queue, and says how many a second.

    mp_queue MESSAGES

One producer, one consumer. What arrived is checked.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from collections.abc import Callable

from benchmarks.subjects import crew
from benchmarks.subjects.channel import SIZE


def main(words: list[str]) -> None:
    """Send and receive as ``words`` ask and print the figures."""
    messages = int(words[0])
    queue = multiprocessing.get_context("fork").Queue()

    def consume(ready: Callable[[], None]) -> float:
        get = queue.get
        ready()
        received = [get() for _ in range(messages)]
        ended = time.monotonic()
        if [int.from_bytes(each, "little") for each in received] != [*range(1, messages + 1)]:
            raise AssertionError("messages were lost or changed")
        return ended

    def produce(ready: Callable[[], None]) -> float:
        put = queue.put
        prepared = [number.to_bytes(SIZE, "little") for number in range(1, messages + 1)]
        ready()
        begun = time.monotonic()
        for message in prepared:
            put(message)
        # Its thread writes to the pipe: the end of this function is not the end of sending.
        queue.close()
        queue.join_thread()
        return begun

    ended, begun = crew.together([consume, produce])
    print(json.dumps({"messages": messages, "per_second": messages / (ended - begun)}))


if __name__ == "__main__":
    main(sys.argv[1:])
