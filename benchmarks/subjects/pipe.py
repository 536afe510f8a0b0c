"""Two processes and two pipes: how long one byte takes there and back.

``python -m benchmarks.subjects.pipe ROUNDS`` prints seconds a round trip as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time


def main() -> None:
    """Fork the other end, send ROUNDS bytes, and wait for each to come back."""
    rounds = int(sys.argv[1])
    there, here = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        for _ in range(rounds):
            os.read(there[0], 1)
            os.write(here[1], b".")
        os._exit(0)
    begun = time.perf_counter()
    for _ in range(rounds):
        os.write(there[1], b".")
        os.read(here[0], 1)
    seconds = time.perf_counter() - begun
    os.waitpid(child, 0)
    print(json.dumps({"round_trip_us": seconds / rounds * 1e6}))


if __name__ == "__main__":
    main()
