"""Starts processes by multiprocessing's forkserver until all are at a gate; says how long.

    forkserver PROCESSES

The server has preloaded what the lab's children have, and is running before the clock starts
(``seconds``); ``from_nothing`` includes its start.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from multiprocessing.synchronize import Event, Semaphore

PRELOAD = ["__main__", "common.process.child", "exchange.roles.trader"]


def wait_at_gate(ready: Semaphore, gate: Event) -> None:
    """Say that this process is ready, and wait for the gate."""
    ready.release()
    gate.wait()


def main(words: list[str]) -> None:
    """Start as many processes as ``words`` ask for and print the seconds that it took."""
    count = int(words[0])
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    ready, gate = context.Semaphore(0), context.Event()
    # Daemons: they end with this program, whatever ends it.
    processes = [
        context.Process(target=wait_at_gate, args=(ready, gate), daemon=True)
        for _ in range(count + 1)
    ]
    origin = time.monotonic()
    first, *others = processes
    first.start()
    ready.acquire()
    begun = time.monotonic()
    for process in others:
        process.start()
    for _ in others:
        ready.acquire()
    # As in bare_fork: the clock stops where the gate opens.
    ended = time.monotonic()
    gate.set()
    for process in processes:
        process.join()
    figures = {"seconds": ended - begun, "from_nothing": ended - origin}
    print(json.dumps({"processes": count, **figures}))


if __name__ == "__main__":
    main(sys.argv[1:])
