"""Judges a stored run and writes its verdict, and says how long it took, or in how much memory.

    judging RUN_DIRECTORY
    judging --memory RUN_DIRECTORY

The clock runs from the opening of the record files to the written verdict. With ``--memory`` it
says instead by how much resident memory grew at the most since everything was imported:
``anonymous_bytes`` that only swap could take, ``file_bytes`` that lie in files (the records, and
the working files of the judge), which the kernel may write out and drop.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import exchange
from common import kinds
from common.pipeline import judge_run
from common.verdict import judge  # noqa: F401

# Seconds between two looks at the memory.
TICK = 0.002
KINDS = {"RssAnon": "anonymous_bytes", "RssFile": "file_bytes"}


def timed(run_dir: Path) -> dict[str, Any]:
    """Judge the run and return its verdict and what it took."""
    begun = time.perf_counter()
    document = judge_run(run_dir, {"exchange": exchange.SYSTEM})
    seconds = time.perf_counter() - begun
    found = {name: document[name] for name in ("operations", "verdict", "doubts")}
    return {**found, "seconds": seconds}


def watched(run_dir: Path) -> dict[str, Any]:
    """Judge the run and return its verdict and the most memory it had."""
    before, peak = resident(), resident()
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(TICK):
            for kind, size in resident().items():
                peak[kind] = max(peak[kind], size)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        found = timed(run_dir)
    finally:
        ended.set()
        watcher.join()
    del found["seconds"]
    return found | {name: peak[name] - before[name] for name in peak}


def resident() -> dict[str, int]:
    """Return how much memory of each kind this program has resident."""
    lines = Path("/proc/self/status").read_text().splitlines()
    sizes = dict(line.split(":", 1) for line in lines)
    return {name: int(sizes[kind].split()[0]) * 1024 for kind, name in KINDS.items()}


def main(words: list[str]) -> None:
    """Judge as ``words`` ask and print the figures."""
    for kind in kinds.names(kinds.PROPERTIES):
        kinds.load(kinds.PROPERTIES, kind)
    *options, run_dir = words
    print(json.dumps((watched if options == ["--memory"] else timed)(Path(run_dir))))


if __name__ == "__main__":
    main(sys.argv[1:])
