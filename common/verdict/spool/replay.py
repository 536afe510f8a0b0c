"""Which way did each job go? The journal of a spool, line by line, and the papers beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from typing import Any, NamedTuple

from common.history.case import Case
from common.kernel.spool import PROCESSING
from common.kernel.spool.entry import Entry, parse
from common.verdict.paper import pages_of


class Move(NamedTuple):
    """One line about a job: ``before`` is None where the journal begins with it, or accepts it.

    ``status`` is that with which the program ended that was to print it (minus the signal that
    killed it), None where there was none.
    """

    item: int
    before: Entry | None
    after: Entry
    source: str
    who: str
    why: str
    at: int
    status: int | None = None

    @property
    def found(self) -> bool:
        """Whether it lay there when the run began."""
        return not self.source

    @property
    def claim(self) -> bool:
        """Whether a printer took it."""
        return self.after.state == PROCESSING


class Replay:
    """The journal of one run's spool.

    ``moves`` are in order, ``ways`` those of each job; ``printers`` are the lines about printers;
    ``garbled`` counts the lines that are neither.
    """

    def __init__(self, case: Case) -> None:
        assert case.spool is not None
        self.case = case
        self.spool = case.spool
        self.moves: list[Move] = []
        self.ways: dict[int, list[Move]] = {}
        self.pages: dict[int, int] = {}
        # Of jobs of an earlier run, whose processes this one need not have: what their files say.
        self._earlier: dict[int, str] = {}
        self.printers: list[dict[str, Any]] = []
        self.garbled = 0
        for line in self.spool.lines:
            try:
                self._read(line)
            except (KeyError, TypeError, ValueError, AttributeError):
                self.garbled += 1
        self.final: dict[int, list[dict[str, Any]]] = {}
        for each in self.spool.final:
            self.final.setdefault(int(each["job"]), []).append(each)

    @property
    def at_most_once(self) -> bool:
        """What the scenario promises; else at least once."""
        return self.case.plan.spool is not None and self.case.plan.spool.promise == "at_most_once"

    @cached_property
    def copies(self) -> dict[int, Counter[int]]:
        """How often each page of each job lies on the papers of this run."""
        found: dict[int, Counter[int]] = {}
        papers: Iterable[list[str]] = [*self.case.own_papers.values(), self.case.paper_lines or []]
        for lines in papers:
            for page in pages_of(lines):
                found.setdefault(page.item, Counter())[page.number] += 1
        return found

    def printed(self, item: int) -> int:
        """Return how often the page of a job that was printed most often was printed."""
        return max(self.copies.get(item, Counter()).values(), default=0)

    def claims(self, item: int) -> int:
        """Return how often a printer took a job in this run."""
        return sum(move.claim for move in self.ways.get(item, []))

    def state(self, item: int) -> str:
        """Return the state of a job in the end, by the journal."""
        return self.ways[item][-1].after.state

    @cached_property
    def gone(self) -> set[int]:
        """The jobs that the journal knows and that lay nowhere in the end."""
        return self.ways.keys() - self.final.keys()

    def vanished(self, move: Move) -> bool:
        """Tell whether a job has vanished from where this move put it; when, nobody knows."""
        return move.item in self.gone and move is self.ways[move.item][-1]

    def found(self, item: int) -> bool:
        """Tell whether a job lay in the spool when the run began."""
        return item in self.ways and self.ways[item][0].found

    def name(self, item: int) -> str:
        """Return the name of a job for people."""
        if not self.found(item):
            return self.case.job(item)
        return f"{self._earlier.get(item) or self.case.job(item)} (of an earlier run)"

    def _read(self, line: dict[str, Any]) -> None:
        if "printer" in line:
            self.printers.append({"printer": str(line["printer"]), "is": str(line["is"]),
                                  "pid": int(line["pid"]), "at": int(line["at"])})  # fmt: skip
            return
        after = parse(line["to"])
        if after is None or after.item != line["job"]:
            raise ValueError(line)
        source = str(line["from"])
        move = Move(
            after.item, parse(source), after, source, str(line["who"]), str(line["why"]),
            int(line["at"]), int(line["status"]) if "status" in line else None,
        )  # fmt: skip
        self.moves.append(move)
        self.ways.setdefault(move.item, []).append(move)
        if "pages" in line:
            self.pages[move.item] = int(line["pages"])
        if "owner" in line and "number" in line:
            self._earlier[move.item] = f"job {int(line['number'])} of {line['owner']}"
