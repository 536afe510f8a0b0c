"""A stored run of a spool that kept its promise, for tests that change one thing in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import pipeline
from run import SYSTEMS

SCENARIO = """
system: spooler
spool: {promise: at_least_once, on_error: retry}
channels:
  jobs: {kind: unix_seqpacket}
processes:
  - {role: submitter, jobs: 3, pages: 2, to: jobs, held: true}
  - {role: spooler, source: jobs}
  - {role: spool_printer, name: printer, count: 2}
  # The last first: the others are released when all are there.
  - {role: operator, lines: [release 3 of submitter-0, release 1 of submitter-0,
      cancel 2 of submitter-0]}
faults: [{kind: kill, process: printer, step: complete, every: 1, most: 1}]
variants:
  at_least_once: {}
  at_most_once: {set: {spool.promise: at_most_once}}
"""


Line = dict[str, Any]


class Stored:
    """A stored run that may be changed."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @property
    def lines(self) -> list[Line]:
        """Its journal."""
        return [json.loads(line) for line in self._journal.read_text().splitlines()]

    def write(self, lines: list[Line]) -> None:
        """Put another journal in its place."""
        self._journal.unlink()
        self._journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
        self.change(lambda outcome: outcome["spool"].update(journal=self._journal.stat().st_size))

    def change(self, how: Callable[[dict[str, Any]], object]) -> None:
        """Change what the launcher saw."""
        path = self.directory / "outcome.json"
        outcome = json.loads(path.read_text())
        how(outcome)
        path.write_text(json.dumps(outcome))

    def jobs(self) -> list[Line]:
        """What lay in the spool in the end."""
        jobs: list[Line] = json.loads((self.directory / "outcome.json").read_text())["spool"][
            "jobs"
        ]
        return jobs

    def paper_of(self, item: int) -> Path:
        """Return a paper on which the job was printed whole."""
        return next(
            paper for paper in sorted(self.directory.glob("paper*.txt"))
            if f"[job {item:012x} page 2/2]" in paper.read_text()
        )  # fmt: skip

    def judged(self) -> dict[str, Any]:
        """Judge it; returns its document."""
        return pipeline.judge_run(self.directory, SYSTEMS)

    def found(self) -> dict[str, str]:
        """Return what is found, with its explanation."""
        return {each["kind"]: each["explanation"] for each in self.judged()["findings"]}

    @property
    def _journal(self) -> Path:
        return self.directory / "journal.jsonl"


def moves(lines: list[Line], item: int) -> list[int]:
    """Return where the moves of a job stand in a journal."""
    return [at for at, line in enumerate(lines) if line.get("job") == item]
