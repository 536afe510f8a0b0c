"""Judges a stored run and writes its verdict, and says how long it took, in how much memory.

    judging RUN_DIRECTORY
    judging --idle

The clock runs from the opening of the record files to the written verdict; ``peak_bytes`` is the
most that was resident (VmHWM), the mapped record files included. ``--idle`` only imports numpy.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np


def peak() -> int:
    """Return the most bytes that this program has had resident; getrusage would show its maker."""
    status = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def judge(run_dir: Path) -> dict[str, Any]:
    """Judge the run and return its verdict and what it cost."""
    import exchange
    from common.pipeline import judge_run

    begun = time.perf_counter()
    document = judge_run(run_dir, {"exchange": exchange.SYSTEM})
    seconds = time.perf_counter() - begun
    found = {name: document[name] for name in ("operations", "verdict", "doubts")}
    return {**found, "seconds": seconds}


def main(words: list[str]) -> None:
    """Judge as ``words`` ask and print the figures."""
    found = {"numpy": np.__version__} if words == ["--idle"] else judge(Path(words[0]))
    print(json.dumps({**found, "peak_bytes": peak()}))


if __name__ == "__main__":
    main(sys.argv[1:])
