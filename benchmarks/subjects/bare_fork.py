"""Forks children until all of them have said "ready" over a pipe, and says how long it took.

    bare_fork PROCESSES

From the first fork to the opening of the gate, which is the end of a second pipe.
"""

from __future__ import annotations

import json
import os
import sys
import time


def main(words: list[str]) -> None:
    """Fork as many children as ``words`` ask for and print the seconds that it took."""
    count = int(words[0])
    ready, tell = os.pipe()
    gate, opening = os.pipe()
    begun = time.monotonic()
    for _ in range(count):
        if os.fork() == 0:
            os.close(opening)
            os.write(tell, b"ready")
            os.read(gate, 1)
            os._exit(0)
    missing = count * len(b"ready")
    while missing:
        missing -= len(os.read(ready, missing))
    # The gate opens here: what the children then do is no part of it, and they may go first.
    seconds = time.monotonic() - begun
    os.close(opening)
    for _ in range(count):
        os.wait()
    print(json.dumps({"processes": count, "seconds": seconds}))


if __name__ == "__main__":
    main(sys.argv[1:])
