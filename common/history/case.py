"""One run as it can be read again: history, outcome, plan and paper, and what its numbers mean."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from common.history.merge import History, Positions
from common.history.outcome import Outcome
from common.history.spooled import Spooled
from common.scenario.plan import ChannelPlan, Plan


@dataclass
class Case:
    """A stored run; ``paper_lines`` is the text of the shared paper, None where there is none.

    ``own_papers`` holds those that belong to one process, by its name; ``spool`` what became of the
    spool, None where there is none; ``outputs`` the end of what programs printed that are not ours.
    """

    history: History
    outcome: Outcome
    plan: Plan
    paper_lines: list[str] | None = None
    own_papers: dict[str, list[str]] = field(default_factory=dict)
    spool: Spooled | None = None
    outputs: dict[str, str] = field(default_factory=dict)

    def process(self, position: int) -> str:
        """Return the name of the process that made a record."""
        return self.history.process_at(position).name

    def row(self, number: int) -> str:
        """Return the name of a row of the table."""
        names = self.plan.table.names if self.plan.table else []
        return names[number] if number < len(names) else f"row {number}"

    def channel(self, number: int) -> ChannelPlan | None:
        """Return the channel that records call ``number``; None when the plan has none."""
        return next((one for one in self.plan.channels if one.index == number), None)

    def place(self, position: int) -> str:
        """Return the name of the row, channel or paper that a record is about."""
        number = int(self.history.objects[position])
        match self.history.operation(position).place:
            case "table":
                return self.row(number)
            case "channel":
                channel = self.channel(number)
                return channel.name if channel else f"channel {number}"
            case "spool":
                return "the spool"
            case _:
                return "its own paper" if number else "the paper"

    def job(self, item: int) -> str:
        """Return the name of a job or order: who made it, and its number there."""
        if not item:
            # Jobs count from 1: all zeros is what a slot holds that nobody has filled.
            return "an empty slot"
        maker, sequence = item >> 32, item & 0xFFFFFFFF
        for process in self.outcome.processes:
            if process.index == maker:
                return f"job {sequence} of {process.name}"
        return f"job {item:#x}"

    def source(self, writes: Positions, reader: int, *, written: str, read: str) -> int | None:
        """Return the latest of ``writes`` that can have written what ``reader`` read.

        ``written`` and ``read`` name the values to compare. A write can precede a read if it was
        entered no later than the read had left.
        """
        history = self.history
        found = history.record(reader)
        latest: tuple[int, int] | None = None
        for which, within in history.pieces(writes):
            same = within + history.bounds[which]
            chosen = (history.objects[same] == found["object"]) & (same != reader)
            chosen[chosen] = history.cells(written, which, within[chosen]) == found[read]
            entered = history.cells("entered", which, within[chosen])
            possible = np.flatnonzero(entered <= found["left"])
            if len(possible):
                at = possible[np.argmax(entered[possible])]
                if latest is None or entered[at] > latest[0]:
                    latest = int(entered[at]), int(same[chosen][at])
        return latest[1] if latest else None
