"""What did one schedule lead to? Reads it from the processes' own records, and judges it.

Two schedules in which every object was used in the same order by the same processes, with the same
values, cannot be told apart: only the first of them is judged.
"""

from __future__ import annotations

import hashlib
import json
import marshal
import mmap
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from common.history import record
from common.history.case import Case
from common.history.mapped import LAYOUT, Recorded
from common.history.merge import History
from common.history.operations import Operation
from common.history.outcome import Outcome, ProcessOutcome
from common.process import reports
from common.process.stage import Stage
from common.scenario.plan import Plan
from common.verdict.judge import judge

WIDTH = record.RECORD_SIZE // 8
_STAMPS = [record.ASKED, record.ENTERED, record.LEFT]
_VALUES = [cell for cell in range(WIDTH) if cell not in _STAMPS]

Cells = npt.NDArray[np.float64]

Rows = list[list[float]]


class Seen(NamedTuple):
    """What one schedule led to: kinds of findings, the final rows, and the operations begun.

    ``undecided`` says that a checker failed or that the numbers do not fit together; ``doubt`` is
    the first sentence of what in the records contradicts itself.
    """

    kinds: tuple[str, ...]
    final: Rows | None
    operations: int
    undecided: bool
    doubt: str = ""


@dataclass
class _Records:
    """The history file of one process, mapped; a row of ``cells`` is a record."""

    path: Path
    cells: Cells = field(default_factory=lambda: np.empty((0, WIDTH)))

    def read(self) -> Cells:
        """Return its records; the first without an end is the last."""
        count = self._count()
        while count == len(self.cells) and self._map():
            count = self._count()
        return self.cells[:count].copy()

    def _count(self) -> int:
        unwritten = self.cells[:, record.KIND] == 0
        count = int(unwritten.argmax()) if unwritten.any() else len(self.cells)
        unended = self.cells[:count, record.LEFT] == 0
        return int(unended.argmax()) + 1 if unended.any() else count

    def _map(self) -> bool:
        """Map the file as far as it reaches now; False when it holds no more than before."""
        size = self.path.stat().st_size
        rows = max(0, size - record.HEADER_SIZE) // record.RECORD_SIZE
        if rows <= len(self.cells):
            return False
        with self.path.open("rb") as file:
            view = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
        cells = np.frombuffer(view, np.float64, rows * WIDTH, record.HEADER_SIZE)
        self.cells = cells.reshape(rows, WIDTH)
        return True


class Observer:
    """Looks at the end of each schedule.

    ``initial`` are the table's first rows, ``judging_s`` the seconds that judging has taken.
    """

    def __init__(self, plan: Plan, stage: Stage, operations: Mapping[int, Operation]) -> None:
        self._plan = plan
        self._stage = stage
        self._operations = operations
        self._records = [_Records(member.record) for member in stage.members]
        self._papers = [
            member.record.parent.parent / f"paper-{member.outcome.name}.txt"
            for member in stage.members
        ]
        self._judged: dict[bytes, Seen] = {}
        self.judging_s = 0.0
        self.initial = stage.rows()

    def look(self) -> Seen:
        """Return what the schedule that has just ended led to."""
        records = [each.read() for each in self._records]
        final = self._stage.rows()
        key = self._key(records, final)
        if key not in self._judged:
            begun = time.monotonic()
            self._judged[key] = self._judge(records, final)
            self.judging_s += time.monotonic() - begun
        return self._judged[key]

    def records(self, number: int) -> Cells:
        """Return the records of one process so far, as cells."""
        return self._records[number].read()

    def _key(self, records: list[Cells], final: Rows | None) -> bytes:
        # Of the stamps only whether they are there: the order in time is in what follows.
        values = [
            (mine[:, _VALUES].tobytes(), (mine[:, _STAMPS] != 0).tobytes()) for mine in records
        ]
        order: dict[str, list[int]] = {}
        for number, stand in self._stage.trace:
            # The order in which a lock, a semaphore or a queue was used: what happens before what.
            if stand.takes or stand.blocks:
                for name in stand.changes:
                    order.setdefault(name, []).append(number)
        summaries = tuple(player.summary for player in self._stage.players)
        stuck = bool(self._stage.unfinished())
        everything = (values, final, sorted(order.items()), summaries, stuck, self._paper())
        # A digest: many long schedules must not fill the memory. (Version 2 of the format writes
        # equal values alike, whoever else refers to them.)
        return hashlib.blake2b(marshal.dumps(everything, 2), digest_size=16).digest()

    def _paper(self) -> tuple[bytes, ...]:
        shared = self._stage.addresses["paper"]
        paths = self._papers if shared is None else [Path(shared["path"])]
        return tuple(path.read_bytes() for path in paths if path.is_file())

    def _judge(self, records: list[Cells], final: Rows | None) -> Seen:
        case = self.case(records, final)
        verdict = judge(case)
        return Seen(
            kinds=tuple(sorted(finding.kind for finding in verdict.findings)),
            final=final,
            operations=sum(map(len, records)),
            undecided=bool(verdict.measures.get("checker_failed")),
            doubt=next(iter(verdict.contradictions), ""),
        )

    def case(self, records: list[Cells], final: Rows | None) -> Case:
        """Return the schedule's run as it would be stored."""
        stage = self._stage
        recorded, outcomes = [], []
        for member, player, mine in zip(stage.members, stage.players, records, strict=True):
            told = member.outcome
            recorded.append(
                Recorded(told.pid, told.index, told.name, told.role, mine.view(LAYOUT).ravel())
            )
            summary = json.loads(player.summary or b"{}").get("summary", {})
            done = player.stand is None and not player.left
            outcomes.append(
                ProcessOutcome(
                    told.name, told.role, told.system, told.index, told.pid, exit=0,
                    phase="done" if done else "left", summary=reports.bounded(summary),
                )
            )  # fmt: skip
        entered = [t for mine in records for t in mine[:, record.ENTERED].tolist() if t]
        left = [t for mine in records for t in mine[:, record.LEFT].tolist()]
        outcome = Outcome(
            gate_ns=round(min(entered, default=0.0) * 1e9),
            ended_ns=round(max(left, default=0.0) * 1e9),
            processes=outcomes,
            initial=self.initial,
            final=final,
            deadlock=stage.waits() if stage.unfinished() and not stage.enabled() else [],
        )
        return Case(History(recorded, self._operations), outcome, self._plan, *self._lines())

    def _lines(self) -> tuple[list[str] | None, dict[str, list[str]]]:
        def lines(path: Path) -> list[str]:
            return path.read_text(encoding="utf-8", errors="replace").split("\n")

        shared = self._stage.addresses["paper"]
        own = {
            member.outcome.name: lines(path)
            for member, path in zip(self._stage.members, self._papers, strict=True)
            if path.is_file()
        }
        return None if shared is None else lines(Path(shared["path"])), own
