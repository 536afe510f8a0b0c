"""Speed: round trips and bandwidth of pipe, queues and sockets, measured on this machine."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import posix_ipc
import sysv_ipc

from common.claims.claim import DEPENDS, FAILS, HOLDS, Shown, claim
from common.claims.lab import Lab, Tell

# Bytes of a message, the same for all: of a round trip, and of a stream of them.
SMALL, LARGE = b"x" * 64, b"x" * 4096
ROUND_TRIPS, MESSAGES = 250, 1500
# The best of so many turns, in which all kinds take part one after the other.
TURNS = 3
PIPE, QUEUES = "pipe", ("System V queue", "POSIX queue")
SOCKETS = ("UNIX stream", "UNIX seqpacket", "TCP")


class Way(NamedTuple):
    """How messages go in one direction; ``receive`` takes 4096 bytes at most."""

    send: Callable[[bytes], object]
    receive: Callable[[], bytes]


@claim("B175", 156, "Pipes are fastest, queues slower, sockets slowest (at most half as fast).")
def ranking(lab: Lab) -> Shown:
    """Each kind joins this process to one that echoes messages of 64 bytes, and takes 4096.

    All in Python, blocking, one copy of the same loops for each; the best of three turns counts.
    """
    ways = {
        PIPE: (_pipe(), _pipe()),
        QUEUES[0]: (_sysv(lab), _sysv(lab)),
        QUEUES[1]: (_posix(lab), _posix(lab)),
        SOCKETS[0]: _socket(*socket.socketpair()),
        SOCKETS[1]: _socket(*socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)),
        SOCKETS[2]: _socket(*_tcp()),
    }
    for there, back in ways.values():
        lab.fork(_partner(there, back))
    trips = dict.fromkeys(ways, float("inf"))
    streams = dict.fromkeys(ways, float("inf"))
    for _ in range(TURNS):
        for name, (there, back) in ways.items():
            begun = time.perf_counter()
            for _ in range(ROUND_TRIPS):
                there.send(SMALL)
                back.receive()
            middle = time.perf_counter()
            for _ in range(MESSAGES):
                there.send(LARGE)
            back.receive()
            end = time.perf_counter()
            trips[name] = min(trips[name], (middle - begun) / ROUND_TRIPS)
            streams[name] = min(streams[name], (end - middle) / (MESSAGES * len(LARGE)))
    for name in ways:
        lab.note(f"{name}: round trip {trips[name] * 1e6:.1f} µs, {1e-6 / streams[name]:.0f} MB/s")
    quickest, widest = min(trips, key=trips.__getitem__), min(streams, key=streams.__getitem__)
    return Shown(
        ranking_verdict(trips, streams),
        f"{quickest} {trips[quickest] * 1e6:.0f} µs, {widest} {1e-6 / streams[widest]:.0f} MB/s "
        "are best",
        f"best to worst: round trips {_order(trips)}; bandwidth {_order(streams)}; other sizes "
        "and machines rank otherwise",
    )


def ranking_verdict(*measures: Mapping[str, float]) -> str:
    """Judge the lecture's ranking by seconds for a round trip, and for a byte of a stream."""
    facts = []
    for seconds in measures:
        queues, sockets = ([seconds[name] for name in names] for names in (QUEUES, SOCKETS))
        facts += [
            seconds[PIPE] < min(*queues, *sockets),
            max(queues) < min(sockets),
            min(sockets) >= 2 * seconds[PIPE],
        ]
    return HOLDS if all(facts) else DEPENDS if any(facts) else FAILS


def _partner(there: Way, back: Way) -> Callable[[Tell], None]:
    """Return the work of the other process: echo the small, take the large and say when."""

    def work(tell: Tell) -> None:
        for _ in range(TURNS):
            for _ in range(ROUND_TRIPS):
                back.send(there.receive())
            left = MESSAGES * len(LARGE)
            while left:
                left -= len(there.receive())
            back.send(SMALL)

    return work


def _pipe() -> Way:
    reading, writing = os.pipe()
    return Way(lambda data: os.write(writing, data), lambda: os.read(reading, len(LARGE)))


def _sysv(lab: Lab) -> Way:
    queue = sysv_ipc.MessageQueue(lab.maker.sysv_queue(), max_message_size=len(LARGE))
    return Way(queue.send, lambda: queue.receive()[0])


def _posix(lab: Lab) -> Way:
    queue = posix_ipc.MessageQueue(lab.maker.posix_queue(4, len(LARGE)))
    return Way(queue.send, lambda: queue.receive()[0])


def _socket(one: socket.socket, other: socket.socket) -> tuple[Way, Way]:
    return (
        Way(one.sendall, lambda: other.recv(len(LARGE))),
        Way(other.sendall, lambda: one.recv(len(LARGE))),
    )


def _tcp() -> tuple[socket.socket, socket.socket]:
    listening = socket.create_server(("127.0.0.1", 0))
    one = socket.create_connection(listening.getsockname())
    other = listening.accept()[0]
    for end in (one, other):
        # Without it the small messages of a round trip may be held back (tcp(7)).
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return one, other


def _order(seconds: Mapping[str, float]) -> str:
    return ", ".join(sorted(seconds, key=seconds.__getitem__))
