"""What the two processes of a channel do: send and receive, or send there and back.

The same loops for the lab's handles and for Python's own means.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any

from benchmarks.alternatives.channels import Line
from benchmarks.grid import stations

# The tasks; the last sends each message back and looks at every byte.
THROUGHPUT, ROUND_TRIP, CHECKED = "throughput", "round trip", "checked"
# Messages that differ, sent in turn; checked one by one while warming up, and the last ever after.
DIFFERENT = 16
# Bytes that a window of a lossy channel takes of its buffer, and what the kernel adds to each.
_WINDOW, _OVERHEAD = 1 << 16, 1024
_MOST_IN_WINDOW = 64


def window(size: int) -> int:
    """Return how many messages of ``size`` a channel that loses what does not fit holds surely."""
    return max(1, min(_MOST_IN_WINDOW, _WINDOW // (size + _OVERHEAD)))


def messages(size: int) -> list[bytes]:
    """Return messages of ``size`` bytes that differ in every byte; none begins with ``*``."""
    return [bytes(65 + (number + at) % 26 for at in range(size)) for number in range(DIFFERENT)]


def works(there: Line, back: Line, size: int, awaited: int, torn: bool) -> list[stations.Prepare]:
    """Return what the two processes do; with ``torn`` nothing is said of what arrives."""
    sent = messages(size)

    def same(got: object, expected: bytes) -> None:
        if got != expected and not torn:
            raise AssertionError("a message was lost or changed")

    def windows(count: int) -> list[int]:
        full = awaited or count
        return [full] * (count // full) + ([count % full] if count % full else [])

    def first() -> dict[str, stations.Task]:
        # First the end that receives: some kinds must know their receiver to send.
        receive, send = back.receiver(), there.sender()

        def throughput(count: int) -> stations.Turn:
            following = itertools.cycle(sent)
            begun = time.monotonic()
            for part in windows(count):
                for message in itertools.islice(following, part):
                    send(message)
                if awaited:
                    receive()
            return stations.Turn(begun, time.monotonic())

        def round_trip(count: int) -> stations.Turn:
            clock, trips = time.perf_counter, []
            message = sent[0]
            answer: object = message
            begun = time.monotonic()
            for _ in itertools.repeat(None, count):
                asked = clock()
                send(message)
                answer = receive()
                trips.append(clock() - asked)
            ended = time.monotonic()
            same(answer, message)
            return stations.Turn(begun, ended, statistics.median(trips))

        def checked(count: int) -> stations.Turn:
            begun = time.monotonic()
            for message in itertools.islice(itertools.cycle(sent), count):
                send(message)
                same(receive(), message)
            return stations.Turn(begun, time.monotonic())

        return {THROUGHPUT: throughput, ROUND_TRIP: round_trip, CHECKED: checked}

    def second() -> dict[str, stations.Task]:
        receive: Callable[[], Any] = there.receiver()
        send = back.sender()

        def throughput(count: int) -> stations.Turn:
            got: object = b""
            begun = time.monotonic()
            for part in windows(count):
                for _ in itertools.repeat(None, part):
                    got = receive()
                if awaited:
                    send(sent[0])
            ended = time.monotonic()
            # One that is lost or doubled anywhere before shifts it.
            same(got, sent[(count - 1) % len(sent)])
            return stations.Turn(begun, ended)

        def send_back(count: int) -> stations.Turn:
            begun = time.monotonic()
            for _ in itertools.repeat(None, count):
                send(receive())
            return stations.Turn(begun, time.monotonic())

        return {THROUGHPUT: throughput, ROUND_TRIP: send_back, CHECKED: send_back}

    return [first, second]
