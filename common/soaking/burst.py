"""Many launchers at the same moment: each must come out well, and no two may share anything.

They are started one by one and stand before their first line until all are there.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.kernel import existing, libc
from common.soaking.place import Place, discard
from common.soaking.trial import DEADLINE, LAUNCHER

# Small ones that promise a valid run: a table, a file, channels of the kernel's and of the lab's.
MIX = (
    ("exchange/lost_update", "locked"),
    ("exchange/negative_stock", "locked"),
    ("exchange/mmap_file", "locked"),
    ("exchange/order_desk_fifo", "locked"),
    ("spooler/one_slot", "put_get"),
    ("spooler/fifo", ""),
    ("spooler/queue", ""),
    ("spooler/sockets", "seqpacket"),
    ("receipts", "locked"),
)
# So many processes are about to run at once that a slow one is no slow machine (s).
PATIENT = "deadlines={start: 200, run: 250, finish: 60, wait: 200, starvation: 200}"
# Its shell waits for the end of a pipe before it becomes the launcher.
GATE = 'read -r line; exec "$@" </dev/null'


@dataclass
class Burst:
    """What came of it; ``shared`` are names that two runs had, ``unexpected`` what went wrong."""

    launchers: int
    seconds: float = 0.0
    processes: int = 0
    objects: int = 0
    operations: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def fine(self) -> bool:
        """Whether all came out well, alone, and gone."""
        return not (self.unexpected or self.shared or self.left)


def burst(count: int, seed: int, place: Place, scenarios: Sequence[tuple[str, str]]) -> Burst:
    """Start ``count`` launchers at once, of these scenarios and variants in turns; wait for all."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    found = Burst(count)
    reading, writing = os.pipe()
    launchers = []
    try:
        for number in range(count):
            scenario, variant = scenarios[number % len(scenarios)]
            words = ["run", scenario, *(["--variant", variant] if variant else [])]
            words += ["--seed", str(seed + number), "--set", PATIENT, "--json"]
            launchers.append(_start(place.runs / f"burst-{number}", words, reading, writing))
        begun = time.monotonic()
        # All at once: every shell reads the end of the pipe.
        os.close(writing)
        writing = -1
        documents = [_ended(number, each, place, found) for number, each in enumerate(launchers)]
        found.seconds = time.monotonic() - begun
    finally:
        os.close(reading)
        if writing >= 0:
            os.close(writing)
        for each in launchers:
            if each.poll() is None:
                each.terminate()
        for number, each in enumerate(launchers):
            each.wait()
            if not found.seconds:
                # Broken off: nobody asks for what is there.
                discard(place.runs / f"burst-{number}")
    _compare([each for each in documents if each is not None], found)
    found.left = place.left()
    return found


def _start(
    directory: Path, words: Sequence[str], reading: int, writing: int
) -> subprocess.Popen[bytes]:
    directory.mkdir()
    launcher = os.getpid()

    def prepare() -> None:
        libc.prctl_die_with_parent(signal.SIGKILL, launcher)

    with (
        (directory / "document.json").open("wb") as out,
        (directory / "stderr.txt").open("wb") as err,
    ):
        return subprocess.Popen(
            ["/bin/sh", "-c", GATE, "gate", sys.executable, str(LAUNCHER), *words,
             "--out", str(directory / "out")],
            stdin=reading, stdout=out, stderr=err, preexec_fn=prepare, start_new_session=True,
        )  # fmt: skip


def _ended(
    number: int, launcher: subprocess.Popen[bytes], place: Place, found: Burst
) -> dict[str, Any] | None:
    """Wait for one; returns its document, if it is as it should be."""
    directory = place.runs / f"burst-{number}"
    status = launcher.wait(DEADLINE * 2)
    try:
        document: dict[str, Any] = json.loads((directory / "document.json").read_text())
    except ValueError:
        document = {}
    said = (directory / "stderr.txt").read_text(errors="replace")
    if status or "Traceback" in said or not document or document["leaks"]:
        what = document.get("findings") or document.get("doubts") or said[-300:]
        found.unexpected.append(f"launcher {number}: status {status}: {what}; see {directory}")
    else:
        discard(directory)
    return document or None


def _compare(documents: Sequence[Mapping[str, Any]], found: Burst) -> None:
    """Count what was made, and look for what two have made or what is still there."""
    names: Counter[tuple[str, str]] = Counter()
    for document in documents:
        found.verdicts.update([document["verdict"]])
        found.processes += len(document["processes"])
        found.operations += document["operations"]
        for entry in document["objects"]:
            names.update([(entry["kind"], str(entry["name"]))])
            name = int(entry["name"], 0) if entry["kind"] in existing.SYSV else entry["name"]
            if not entry.get("kept") and existing.find(entry["kind"], name) is not None:
                found.left.append(f"{entry['kind']} {entry['name']}")
    found.objects = names.total()
    found.shared = [f"{kind} {name}" for (kind, name), count in names.items() if count > 1]
